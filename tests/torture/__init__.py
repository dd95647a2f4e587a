"""Torture: real replicas under people and troubles of every kind, and a checker that looks for broken laws.

`make torture` runs it. For as long as asked, a *cast* of people asks, confirms, cancels, and presses what is old,
doubled, forged or somebody else's (`cast`), while *troubles* befall the processes, the database, Turso and Slack, and
grants come and go (`troubles`). A seed decides who does what and which trouble comes when (`schedule`). A *ledger*
notes what can be seen from outside: deliveries, messages, Turso's calls, snapshots of the tables (`ledger`, `witness`,
`tables`). Then everything is made whole again, time is helped along, and everybody presses whatever button they still
see (`run`). What the ledger and the tables hold is frozen as `facts`. The *laws* are pure functions from these facts to
violations, and use nothing of the bot: not its tables, not its hashes, not its names of states.

A trouble excuses what it explains, for a few seconds: a process that was killed need not acknowledge, a database that
was away takes no row. Nothing excuses a second call, a false word, a lost row or a secret.

How to extend it with what the bot learns:

- A new thing that people do: a method of `cast.Cast`, and its weight in `schedule.MOVES`.
- A new trouble: a method in the module of its kind in `troubles`, and how long it lasts in `schedule`.
- A new kind of call at Turso (targets, canaries): `witness.Witness` notes it, `facts.Call` gets what tells it apart.
- A new table (approvals, targets, proofs): `tables.Tables` reads it into a new frozen value in `facts`.
- A new state, action or sentence: the tables in `laws.words`.
- A new promise: a check in the module of its law, listed in `laws.CHECKS`, and a violation planted in `test_laws.py`
  that it must find. A check that finds nothing planted proves nothing.
- A mistake that a future change of the bot could make: `mistakes`, and `make torture ARGS="--mistake NAME"`.
"""
