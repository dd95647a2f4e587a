"""Torture: real replicas under people and troubles of every kind, and a checker that looks for broken laws.

`make torture` runs it. For as long as asked, a *cast* of people asks, confirms, cancels, presses what is old, doubled,
forged or somebody else's (`cast`), while *troubles* befall the processes, the database, Turso and Slack, and grants come
and go (`troubles`). A seed decides who does what and which trouble comes when (`schedule`). A *ledger* notes what could
be seen from outside: deliveries, messages, Turso's calls, snapshots of the tables (`ledger`, `witness`, `tables`). Then
everything is made whole again, time is helped along, everybody presses whatever button they still see, and what the
ledger and the tables hold is frozen as `facts`. The *laws* are pure functions from these facts to violations, and use
nothing of the bot: not its tables, not its hashes, not its words for states.

How to extend it with what the bot learns:

- A new thing that people do: a method of `Cast` and its weight in `schedule.MOVES`.
- A new trouble: a method of `Troubles` and an entry in `schedule.TROUBLES`.
- A new kind of call at Turso (targets, canaries): `witness.Witness` notes it, `facts.Call` gets what tells it apart.
- A new table (approvals, targets, proofs): `tables.Tables` reads it into a new frozen value of `facts`.
- A new state, action or sentence: the tables at the top of `laws.words`.
- A new promise: a function in the module of its law, listed in `laws.CHECKS`, and a planted violation in
  `test_laws.py` that it must find. A check that finds no planted violation proves nothing.
"""
