"""Ask us, Unbound and delv the same damaged questions, and explain every difference.

``.venv/bin/python tests/differential/differential.py --cases 2000 --seed 1 --report out.md``; a case by itself, with
all that was said, by ``--show NUMBER`` and the same seed and ``--at``.
"""

import argparse
import contextlib
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import oracles
from classes import Disagreement, Explainer, is_failure
from damage import Case, pick_damages
from oracles import LoopbackResolver, Opinion, Unbound, loopback_resolver
from worlds import Question, SignedWorld, make_world, pick_question

from collector.dnssec import names, records
from collector.dnssec.budget import Budget
from collector.dnssec.context import Context
from collector.dnssec.message import FormError, read_response
from collector.dnssec.policy import Policy
from collector.dnssec.questions import Ask, FetchFailure, Reply, drive
from collector.dnssec.validation import ValidationResult, validate
from collector.dnssec.wording import describe

CASES_PER_WORLD = 25
DELV_EVERY = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: what was asked and damaged, and who says what; ``klass`` explains a difference, empty where none is."""

    number: int
    question: str
    damages: tuple[str, ...]
    ours: Opinion
    unbound: Opinion
    delv: Opinion | None
    disagreements: tuple[Disagreement, ...]


def ask_us(case: Case, trace: list[Question] | None = None) -> ValidationResult:
    """Validate in process; the questions asked on the way are added to ``trace``."""
    policy = Policy()
    context = Context(case.made.now, case.made.anchors, policy, Budget(policy), {})

    def reply_to(asked: Ask) -> Reply:
        if trace is not None:
            trace.append((asked.name, asked.rdtype))
        return _reply(case, asked)

    return drive(validate(context, *case.question), reply_to)


def _reply(case: Case, asked: Ask) -> Reply:
    try:
        return read_response(case.wire(asked.name, asked.rdtype))
    except FormError as error:
        return FetchFailure("malformed", str(error))


def opinion_of(result: ValidationResult, now: int) -> Opinion:
    """Return our result in the form of the oracles', its times as seen from ``now``."""
    verdict = result.verdict.value
    why = result.weakest.reason
    rcode = {"NOERROR": 0, "NXDOMAIN": 3, "YXDOMAIN": 6}.get(result.rcode, 2)
    said = f"{why.code}: {describe(why, now)}" if why else ""
    return Opinion("servfail" if verdict == "indeterminate" else verdict, rcode, said)


def world_of(seed: str, number: int, now: int) -> SignedWorld:
    """Return the world of a case."""
    return make_world(Random(f"{seed}/world/{number // CASES_PER_WORLD}"), now)


def make_case(seed: str, number: int, made: SignedWorld) -> Case:
    """Return a case in its world; the seed and the number fix it."""
    rng = Random(f"{seed}/case/{number}")
    question = pick_question(made, rng)
    trace: list[Question] = []
    ask_us(Case(made, question), trace)
    return Case(made, question, pick_damages(rng, made, question, trace, f"{seed}/damage/{number}"))


@dataclass(frozen=True, slots=True)
class Panel:
    """The oracles of one process, and the resolver through which they see a case."""

    resolver: LoopbackResolver
    unbound: Unbound


@contextlib.contextmanager
def panel() -> Iterator[Panel]:
    """Have the oracles ready while the block runs."""
    with loopback_resolver() as resolver, contextlib.closing(Unbound()) as unbound:
        yield Panel(resolver, unbound)


def ask_everybody(number: int, case: Case, those: Panel, *, delv: bool) -> Outcome:
    """Return all opinions on one case; delv's too where we and Unbound differ and its clock is no matter."""
    port, anchors = those.resolver.port, case.made.anchor_texts

    def ask_unbound(asked: Case) -> Opinion:
        those.resolver.respond = asked.wire
        # Debian's libunbound is built without Ed448, its daemon with it.
        ask = oracles.ask_unbound_daemon if case.made.has_ed448 else those.unbound.ask
        return ask(*asked.question, port, anchors, case.made.now)

    ours = opinion_of(ask_us(case), case.made.now)
    unbound = ask_unbound(case)
    differ = ours.verdict != unbound.verdict and not {ours.verdict, unbound.verdict} <= {"servfail", "bogus", "hang"}
    third = None
    if (delv or differ) and not case.made.is_on_edge:
        third = oracles.ask_delv(*case.question, port, anchors)
    found = tuple(Explainer(ask_us, ask_unbound).explain(case, ours, unbound, third))
    damages = tuple(damage.to_text() for damage in case.damages)
    question = f"{names.to_text(case.question[0])} {records.type_to_text(case.question[1])}"
    return Outcome(number, question, damages, ours, unbound, third, found)


def run_cases(seed: str, now: int, numbers: range) -> list[Outcome]:
    """Return the outcomes of some cases."""
    outcomes = []
    with panel() as those:
        made: SignedWorld | None = None
        for number in numbers:
            if made is None or number % CASES_PER_WORLD == 0:
                made = world_of(seed, number, now)
            case = make_case(seed, number, made)
            outcomes.append(ask_everybody(number, case, those, delv=number % DELV_EVERY == 0))
    return outcomes


def minimise(case: Case, still: Callable[[Case], bool]) -> Case:
    """Return the case with as few damages as keep ``still`` true."""
    damages = list(case.damages)
    for damage in list(damages):
        fewer = [one for one in damages if one is not damage]
        if still(Case(case.made, case.question, fewer)):
            damages = fewer
    return Case(case.made, case.question, damages)


def show(seed: str, now: int, number: int) -> None:
    """Print one case with every response that we asked for, least damages first."""
    case = make_case(seed, number, world_of(seed, number, now))
    with panel() as those:
        whole = ask_everybody(number, case, those, delv=True)
        wanted = whole.ours.verdict, whole.unbound.verdict

        def still(fewer: Case) -> bool:
            again = ask_everybody(number, fewer, those, delv=False)
            return (again.ours.verdict, again.unbound.verdict) == wanted

        case = minimise(case, still)
        whole = ask_everybody(number, case, those, delv=True)
        asked: list[Question] = []

        def respond(qname: names.Name, qtype: int, message_id: int) -> bytes:
            asked.append((qname, qtype))
            return case.wire(qname, qtype, message_id)

        those.resolver.respond = respond
        those.unbound.ask(*case.question, those.resolver.port, case.made.anchor_texts, case.made.now)
    for zone, note in case.made.notes.items():
        print(f"zone {names.to_text(zone)}: {note}")
    print("question", whole.question)
    for text in whole.damages:
        print("damage", text)
    print("ours   ", whole.ours, "\nunbound", whole.unbound, "\ndelv   ", whole.delv)
    for found in whole.disagreements:
        print("class  ", found)
    trace: list[Question] = []
    ask_us(case, trace)
    for question in dict.fromkeys([*trace, *asked]):
        who = ("us " if question in trace else "") + ("unbound" if question in asked else "")
        print(f"\n{names.to_text(question[0])} {records.type_to_text(question[1])} (asked by {who})")
        print(case.message(*question).to_text())


def report(outcomes: list[Outcome], seed: str, now: int, took_s: float) -> str:
    """Return the result as Markdown."""
    lines = [
        "# Differential test",
        "",
        f"{len(outcomes)} cases, seed {seed}, time {now}, {took_s:.0f} s; {oracles.versions()}.",
        "",
    ]
    lines += _table("us", "Unbound", Counter((o.ours.verdict, o.unbound.verdict) for o in outcomes))
    asked = [o for o in outcomes if o.delv is not None]
    sample = [o for o in asked if o.number % DELV_EVERY == 0 or o.disagreements]
    lines += [f"delv was asked {len(asked)} times: every {DELV_EVERY}th case, and where we and Unbound differ.", ""]
    lines += _table("us", "delv", Counter((o.ours.verdict, o.delv.verdict) for o in sample if o.delv))
    classes: Counter[tuple[str, str]] = Counter()
    first: dict[str, int] = {}
    for outcome in outcomes:
        for found in outcome.disagreements:
            classes[found.klass, found.who] += 1
            first.setdefault(found.klass, outcome.number)
    lines += ["## Disagreements by class", "", "| class | with | cases | first |", "|---|---|---|---|"]
    lines += [f"| {klass} | {who} | {count} | {first[klass]} |" for (klass, who), count in classes.most_common()]
    failures = [o for o in outcomes if is_failure(o.disagreements)]
    lines += ["", f"## Failures: {len(failures)}", ""]
    for outcome in failures:
        opinions = f"us {outcome.ours}, Unbound {outcome.unbound}, delv {outcome.delv}"
        lines.append(f"- case {outcome.number}: {outcome.question}: {opinions}")
        lines += [f"  - {text}" for text in outcome.damages]
    kinds = Counter(damage.split(":")[0] for outcome in outcomes for damage in outcome.damages)
    lines += ["", "## Damages", "", "| damage | cases |", "|---|---|"]
    lines += [f"| {kind} | {count} |" for kind, count in sorted(kinds.items())]
    return "\n".join(lines) + "\n"


def _table(rows: str, columns: str, counted: Counter[tuple[str, str]]) -> list[str]:
    verdicts = ("secure", "insecure", "bogus", "servfail", "hang")
    lines = [f"| {rows} \\ {columns} | " + " | ".join(verdicts) + " |", "|---|" + "---|" * len(verdicts)]
    lines += [f"| {row} | " + " | ".join(str(counted[row, column]) for column in verdicts) + " |" for row in verdicts]
    return [*lines, ""]


def run(seed: str, cases: int, now: int, jobs: int) -> list[Outcome]:
    """Return the outcomes of all cases, worlds spread over processes."""
    chunk = CASES_PER_WORLD * 2
    ranges = [range(start, min(start + chunk, cases)) for start in range(0, cases, chunk)]
    if jobs == 1:
        return [outcome for numbers in ranges for outcome in run_cases(seed, now, numbers)]
    with multiprocessing.Pool(jobs) as pool:
        return [outcome for part in pool.imap(partial(run_cases, seed, now), ranges) for outcome in part]


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the cases; the exit status is 1 where any is a failure, 2 where the oracles are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument(
        "--at", type=int, default=int(time.time()), help="the worlds' time, POSIX seconds; delv knows only now"
    )
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--report", type=Path)
    parser.add_argument("--show", type=int, metavar="NUMBER")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if oracles.missing():
        print(oracles.missing(), file=sys.stderr)
        return 2
    if options.show is not None:
        show(options.seed, options.at, options.show)
        return 0
    print(f"seed {options.seed}, time {options.at}", flush=True)
    started = time.monotonic()
    outcomes = run(options.seed, options.cases, options.at, options.jobs)
    text = report(outcomes, options.seed, options.at, time.monotonic() - started)
    if options.report:
        options.report.write_text(text, encoding="utf-8")
    print(text)
    return 1 if any(is_failure(outcome.disagreements) for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
