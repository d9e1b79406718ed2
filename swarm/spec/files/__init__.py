"""Readers of tasks, plans, agents and inputs. This module exports the functions of its siblings."""

from swarm.spec.files.agent import load_agents, load_small, load_wording, parse_agent
from swarm.spec.files.inputs import InputOptions, LoadedInputs, MatchedInputs, read_inputs
from swarm.spec.files.outputs import OutputFile, OutputFiles, read_outputs
from swarm.spec.files.overrides import COMMAND_NAMES, PYTHON_NAMES, OverrideNames, Overrides, typed
from swarm.spec.files.plan import PlanFile, load_plan, plan_of_value, read_plan
from swarm.spec.files.references import secrets_of
from swarm.spec.files.schema import SCHEMA_FILE, task_schema
from swarm.spec.files.starters import STARTERS, Starter
from swarm.spec.files.task import fill, load_task, locate, public, recall_task, task_of_value, with_overrides
from swarm.spec.yaml.yaml12 import write_yaml

__all__ = [
    "COMMAND_NAMES",
    "PYTHON_NAMES",
    "SCHEMA_FILE",
    "STARTERS",
    "InputOptions",
    "LoadedInputs",
    "MatchedInputs",
    "OutputFile",
    "OutputFiles",
    "OverrideNames",
    "Overrides",
    "PlanFile",
    "Starter",
    "fill",
    "load_agents",
    "load_plan",
    "load_small",
    "load_task",
    "load_wording",
    "locate",
    "parse_agent",
    "plan_of_value",
    "public",
    "read_inputs",
    "read_outputs",
    "read_plan",
    "recall_task",
    "secrets_of",
    "task_of_value",
    "task_schema",
    "typed",
    "with_overrides",
    "write_yaml",
]
