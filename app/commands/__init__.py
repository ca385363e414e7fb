"""The commands of `mendline`, grouped by who types them; each module has `install(app)`.

serve      run it: serve, worker, setup, doctor, key, version
diagnosis  ask it: diagnose, eval, knowledge
runbooks   write for it: runbook
incidents  watch it: incidents, explain, approvals, approve, deny, undo, correct, move
operate    steer it: pause, resume, strategy
targets    say what may be acted on: target
people     who is told: people check, people deliveries
policy     its rules: policy lint, policy explain, policy replay
savings    what it is worth: savings
shadow     try it out: mode, shadow
audit      trust it: audit verify, audit export
slack      set it up: slack manifest, slack check
new        begin a part of your own: new strategy, new gate
demo       see it work; what it plays with is in `playground*`

Rules:     a command reads the settings, opens the store, calls one verb or query and prints.
           What people read goes through `shown`: text of events is foreign and is made plain.
           Errors are raised and become one line in `cli`.
Tests:     `tests/commands`, `tests/flow`.
"""
