"""The attempts of one stretch of a run: open the endpoints, assemble the executors, dispatch."""

from collections.abc import Callable, Coroutine, Mapping, Set
from dataclasses import dataclass, field
from random import Random
from typing import Any

from swarm.base.errors import Problem
from swarm.base.machine import fitting_width
from swarm.budget.meter import Meters
from swarm.budget.setup import open_meters
from swarm.endpoints.custom import CustomEndpoint
from swarm.endpoints.offline import Offline
from swarm.endpoints.preflight import Preflight
from swarm.endpoints.router import Router, connect
from swarm.endpoints.wiring import Told, Wiring
from swarm.executors.approvals import Approvals
from swarm.executors.budgeted import Budgeted
from swarm.executors.tree_reserve import TreeReserve
from swarm.lifecycle.learnt import keep_contexts, memory_of
from swarm.lifecycle.options import Options
from swarm.lifecycle.prepare import Prepared
from swarm.lifecycle.wiring import ExecutorWiring, assemble
from swarm.record import events as e
from swarm.record.cache import Cache
from swarm.record.folder import RunFolder
from swarm.record.outcome import Outcome
from swarm.record.recorder import Recorder
from swarm.record.signals import Signals
from swarm.record.state import State
from swarm.scheduling.assign import Assigner
from swarm.scheduling.checks import Checks
from swarm.scheduling.dispatcher import Dispatcher
from swarm.scheduling.reduction import Reduction
from swarm.scheduling.scheduler import Rules, Scheduler
from swarm.spec.labels import DEFAULT
from swarm.spec.plan import REDUCER
from swarm.spec.task import MOST_WORKERS


@dataclass(slots=True, kw_only=True)
class Stretch:
    """What the attempts of one stretch of a run need, and what is known of them afterwards."""

    prepared: Prepared
    options: Options
    state: State
    folder: RunFolder
    emit: Recorder
    assigner: Assigner
    bug: Callable[[Exception], str]
    known: Mapping[str, Outcome]
    """Outcomes of earlier stretches by the key of their attempt."""
    served: Set[str]
    """Aliases of models that have answered before this stretch."""
    warnings: list[str]
    """The warnings of the run; those of its models are added."""
    signals: Signals
    plan_only: bool = False
    approvals: Approvals = field(init=False)
    """The questions about calls of tools."""
    _preflight: Preflight | None = field(default=None, init=False)
    _own_endpoint: CustomEndpoint | None = field(default=None, init=False)
    """The caller's endpoint object, if there is one."""
    _workers: int = field(default=0, init=False)
    _router: Router | None = field(default=None, init=False)
    _dispatcher: Dispatcher | None = field(default=None, init=False)
    _interrupted: tuple[str, float] | None = field(default=None, init=False)
    """An interrupt that came before the dispatcher was there."""

    def __post_init__(self) -> None:
        prepared = self.prepared
        self.approvals = Approvals(
            self.state,
            self.options.approve,
            by_default=prepared.task.asks_about_tools,
            clean=prepared.redactor.clean,
            signals=self.signals,
        )

    async def run(self, background: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run every attempt, with `background` in parallel, which is cancelled at the end."""
        prepared, state = self.prepared, self.state
        rng, clean = Random(state.run), prepared.redactor.clean  # noqa: S311 - jitter
        routes, own = prepared.routes, prepared.endpoint
        keep = not self.plan_only and not self._merges_the_report
        meters = open_meters(prepared.task.limits, routes, state, custom_endpoint=own is not None, keep=keep)
        memory = memory_of(prepared, self.options)
        self._workers, narrowed = fitting_width(MOST_WORKERS if self._is_auto else prepared.task.limits.usual_workers)
        self.warnings += filter(None, [memory.warning, self._uncached, narrowed])
        wiring = Wiring(
            rng=rng,
            offline=Offline,
            clean=clean,
            memory=memory,
            emit=self._told,
            around=meters.around,
            labels=prepared.resources.access.labels,
            workers=self._workers,
            auto=self._is_auto,
            patience=prepared.task.patience,
        )
        async with connect(routes, wiring) as router:
            self._router = router
            looked = Preflight(router, routes, wiring, ahead=self._ahead(), warn=self.warnings.append)
            self._preflight = looked
            self._own_endpoint = None if own is None else CustomEndpoint(own)
            endpoint = looked if self._own_endpoint is None else meters.alone(self._own_endpoint)
            budgeted = Budgeted(endpoint, prepared.toolbox, meters, state, self.signals)
            self._dispatcher = self._dispatcher_of(budgeted, self._reserve_of(meters, keep=keep))
            if self._interrupted is not None:
                self._dispatcher.interrupt(*self._interrupted)
            try:
                await self._dispatcher.run(background)
            finally:
                keep_contexts(prepared, memory, state)

    @property
    def _is_auto(self) -> bool:
        return self.prepared.task.limits.workers == "auto"

    def _width(self) -> int:
        """Return how many attempts may run now."""
        if self._router is None or not self._is_auto:
            return self._workers
        return min(self._workers, self._router.width)

    def _told(self, event: Told) -> None:
        """Record an event of an endpoint. If its width grew, more attempts may start."""
        self.emit(event)
        if isinstance(event, e.SlotsChanged) and self._dispatcher is not None and self._is_auto:
            self._dispatcher.widened()

    def interrupt(self, because: str, grace: float) -> None:
        """Start nothing new, give running attempts `grace` seconds, then end."""
        if self._dispatcher is None:
            self._interrupted = (because, grace)
        else:
            # What waits for a server that is gone will not end by itself: there is nothing to wait for.
            stranded = self._router is not None and self._router.stranded
            self._dispatcher.interrupt(because, 0.0 if stranded else grace)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why models cannot be used, if the checks before the first paid call found it."""
        return () if self._preflight is None else self._preflight.problems

    @property
    def misuse(self) -> str:
        """What is wrong with the caller's endpoint object; empty if nothing is."""
        return "" if self._own_endpoint is None else self._own_endpoint.misuse

    @property
    def unanswered(self) -> str:
        """Why the run ended because nobody could allow a call; empty if it did not."""
        ended = self.state.finished
        return self.approvals.because if ended is not None and ended.status == "cancelled" else ""

    @property
    def in_flight(self) -> int:
        """Number of running attempts."""
        return 0 if self._dispatcher is None else self._dispatcher.in_flight

    def _dispatcher_of(self, budgeted: Budgeted, reserve: TreeReserve) -> Dispatcher:
        prepared, state = self.prepared, self.state
        wiring = ExecutorWiring(
            budgeted=budgeted,
            tools=prepared.toolbox,
            approvals=self.approvals,
            checks=prepared.files.checks,
            state=state,
            folder=self.folder,
            clean=prepared.redactor.clean,
            known=self.known,
            cache=self._cache,
            advised_goal=(prepared.task.goal or "") if prepared.task.swarm == "auto" else None,
        )

        reduction, outputs = Reduction(state, self.assigner, prepared.task.report), self.assigner.output_of
        checks = Checks(prepared.resources.wording, outputs)
        expand = checks.before(reduction.expander, state)
        emit = reserve.after(self.emit)
        scheduler = Scheduler(state, emit, self._rules(), outputs, expand, checks.follow_up)
        attempt_of = reduction.attempts(budgeted.fitted)
        return Dispatcher(scheduler, assemble(wiring), attempt_of, emit, self.bug, self._width, self.approvals)

    def _reserve_of(self, meters: Meters, *, keep: bool) -> TreeReserve:
        """Return what keeps a part of the limits for the report, on the model that will write it."""
        contexts, agent = self.prepared.resources.contexts, self.state.agents.get(REDUCER)
        has_own = agent is not None and agent.model in self.prepared.routes
        alias = agent.model if agent is not None and agent.model is not None and has_own else DEFAULT
        route = self.prepared.routes.get(alias) if keep else None
        return TreeReserve(self.state, meters.queue.ledger, route, contexts.get(alias))

    @property
    def _merges_the_report(self) -> bool:
        """Whether the report is known to be merged without a model: then nothing is kept for it."""
        report = self.state.steps.get(self.state.report_step or "")
        return report is not None and report.step.merge is not None

    @property
    def _cache(self) -> Cache | None:
        """The cache that this run reads and writes; None with `--no-cache`."""
        if not self.options.uses_cache:
            return None
        folder = self.options.cache_folder
        return self.prepared.cache if folder is None else Cache(folder)

    @property
    def _uncached(self) -> str | None:
        """Return why a run with a cache stores nothing in it, or None if it does."""
        if not self.options.uses_cache or None not in self.prepared.resources.identities.values():
            return None
        return "nothing is cached: the endpoint object has no `identity` (a text that tells it from others)"

    def _ahead(self) -> list[str]:
        """Return the aliases of the models that are checked before the first paid call."""
        if not self.options.preflight:
            return []
        return [alias for alias in self.assigner.aliases_ahead() if alias not in self.served]

    def _rules(self) -> Rules:
        task = self.prepared.task
        return Rules(
            limits=task.limits.model_copy(update={"workers": self._workers}),
            on_failure=task.on_failure,
            inputs=tuple(each.name for each in self.prepared.resources.inputs),
            seed=self.state.seed,
            plan_only=self.plan_only,
        )
