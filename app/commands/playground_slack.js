for (const form of document.querySelectorAll('form[data-sure]'))
  form.addEventListener('submit', event => {
    if (!confirm(form.dataset.sure)) {
      event.preventDefault()
      form.reset()
    }
  })
for (const menu of document.querySelectorAll('select[name=chosen]'))
  menu.addEventListener('change', () => menu.form.requestSubmit())
let seen = ''
setInterval(async () => {
  const now = await (await fetch('/version')).text()
  const busy = document.activeElement && ['SELECT', 'TEXTAREA'].includes(document.activeElement.tagName)
  if (seen && now !== seen && !busy) location.reload(); else if (!busy) seen = now
}, 700)
