"""The commands of `mendline`, grouped by who types them; each module has `install(app)`.

serve      run it: serve, setup, doctor, key
diagnosis  ask it: diagnose, eval, knowledge, runbook
incidents  watch it: incidents, explain, approvals, approve, deny, correct
operate    steer it: pause, resume, strategy, target
demo       see it work
"""
