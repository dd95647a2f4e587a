"""Torture: real replicas under hostile people and faults of every kind, and a checker that looks for broken laws.

`make torture` runs it. For as long as asked, *people* ask, confirm, cancel, and press what is old, doubled, forged or
somebody else's (`people`), while *faults* hit the processes, the database, Turso and Slack, and operators take grants
and give them back (`faults`). A seed decides who does what and which fault comes when (`schedule`). A *ledger* notes
what can be seen from outside: deliveries, messages, Turso's calls, snapshots of the tables (`ledger`,
`recording_turso`, `tables`). Then every fault ends, leases are cut short, and everybody presses whatever button they
still see (`run`). What the ledger and the tables hold is frozen as `facts`. The *laws* are pure functions from these
facts to violations, and use nothing of the bot: not its tables, not its hashes, not its names of states.

A fault excuses what it explains, for a few seconds: a process that was killed need not acknowledge, a database that
was away takes no row. Nothing excuses a second call, a false word, a lost row or a secret.

How to extend it with what the bot learns:

- Something that people do: a method of `people.People`, and its weight in `schedule.MOVES`.
- A fault: a method in the module of its kind in `faults`, how long it lasts in `schedule`, what it excuses in `laws`.
- A state, action or sentence: the tables in `laws.words`.
- A table (approvals, proofs): `tables.Tables` reads it into a new frozen value in `facts`.
- A promise: a check in the module of its law, listed in `laws.CHECKS`, and a violation planted in `test_laws.py` that
  it must find. A check that finds nothing planted proves nothing.
- A mistake that a future change of the bot could make: `mistakes`, and `make torture ARGS="--mistake NAME"`.
- Another thing to rotate than a group: what is set up (`people.GROUPS`, `run`), what a call is for (`RecordingTurso`,
  `facts.Call`), and what compares groups (`Tables.running`, `laws.calls`, `evidence`).
"""
