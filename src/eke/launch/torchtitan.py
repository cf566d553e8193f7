"""torchtitan: a module with the training configuration, and the start on every server.

Since release 0.3 torchtitan reads its configuration from a Python function, named with --module
and --config; eke writes that module. Classes and fields as torchtitan 0.3.0 has them; models are
those it ships, told by their shape.
"""

from __future__ import annotations

from math import ceil

from eke.errors import BadInput
from eke.launch import refusals
from eke.launch.script import bash, header, needed, torchrun
from eke.launch.start import Start
from eke.physics.train import learning_sequence
from eke.types.job import Train
from eke.types.model import Model
from eke.types.plan import Plan

NAME = "torchtitan"
FLAVOURS = {  # layers, hidden size, vocabulary → module and flavour of its model_registry
    (16, 2048, 128256): ("llama3", "1B"),
    (28, 3072, 128256): ("llama3", "3B"),
    (32, 4096, 128256): ("llama3", "8B"),
    (80, 8192, 128256): ("llama3", "70B"),
    (126, 16384, 128256): ("llama3", "405B"),
    (28, 1024, 151936): ("qwen3", "0.6B"),
    (28, 2048, 151936): ("qwen3", "1.7B"),
    (36, 2560, 151936): ("qwen3", "4B"),
    (36, 4096, 151936): ("qwen3", "8B"),
    (40, 5120, 151936): ("qwen3", "14B"),
    (64, 5120, 151936): ("qwen3", "32B"),
    (48, 2048, 151936): ("qwen3", "30B-A3B"),
    (94, 4096, 151936): ("qwen3", "235B-A22B"),
    (61, 7168, 129280): ("deepseek_v3", "671B"),
}
FAMILIES = {"llama3": ("llama",), "qwen3": ("qwen3", "qwen3moe"), "deepseek_v3": ("deepseekv3",)}
DTYPES = {"bf16": "bfloat16", "fp8": "bfloat16", "fp32": "float32"}
RATE = "The rate, its warm-up and the checkpoint interval are starting points, not planned."
FUSED = "Attention is fused, so its scores are never kept; only recompute full is a choice here."


def files(start: Start) -> dict[str, str]:
    """The module and the script that every server runs."""
    refusals.for_jobs(NAME, start, "train", instead="For others: --write trl, deepspeed or verl.")
    job = start.job
    assert isinstance(job, Train)
    _refuse(job, start.plan)
    return {
        "eke_torchtitan.py": header(start, RATE, FUSED) + _module(start, job),
        "torchtitan.sh": bash(start, _lines(start)),
    }


def flavour(model: Model) -> tuple[str, str]:
    """Module and flavour of the same shape. Raises BadInput where torchtitan ships none."""
    layers = model.layers
    found = FLAVOURS.get((layers, model.hidden, model.vocabulary))
    word = model.architecture.removesuffix("ForCausalLM").casefold().replace("_", "")
    if found is None or word not in FAMILIES[found[0]]:
        raise BadInput(
            f"torchtitan ships no model of the shape of {model.name}; eke knows its Llama 3.1 and "
            "3.2, Qwen 3 and DeepSeek-V3. Write for megatron."
        )
    return found


def _module(start: Start, job: Train) -> str:
    """Python that builds the configuration; every number in it comes from the plan."""
    plan, (module, size) = start.plan, flavour(job.model)
    own = _arguments("training", "TrainingConfig", _training(job, plan))
    own += _arguments("parallelism", "ParallelismConfig", _parallelism(job, plan))
    return f"""{_imports(module, plan)}

def plan() -> Trainer.Config:
    \"\"\"What eke planned.\"\"\"
    model = model_registry(
        {size!r},
{CONVERTER if plan.compute == "fp8" else ""}    )
    loss = CrossEntropyLoss.Config(global_vocab_size=decoder_vocab_size(model))
    return Trainer.Config(
        model_spec=model,
        loss=ChunkedLossWrapper.Config(loss_fn=loss),
        hf_assets_path=os.environ["ASSETS"],
        dump_folder=os.environ["OUTPUT"],
        dataloader=HuggingFaceTextDataLoader.Config(dataset=os.environ["DATA"]),
        optimizer=default_adamw(lr=float(os.environ.get("LEARNING_RATE", "3e-4"))),
        lr_scheduler=LRSchedulersContainer.Config(warmup_steps={_warm(job, plan)}),
{own}        activation_checkpoint={"FullAC.Config()" if plan.recompute == "full" else "None"},
        compile=CompileConfig(enable=True),
        checkpoint=CheckpointManager.Config(enable=True, interval=500),
    )
"""


CONVERTER = """        converters=[
            Float8LinearConverter.Config(filter_fqns=["lm_head"], model_compile_enabled=True),
        ],
"""
IMPORTS = {  # module of torchtitan → names
    "components.checkpointer": "CheckpointManager",
    "components.loss": "ChunkedLossWrapper, CrossEntropyLoss",
    "components.optimizer": "LRSchedulersContainer, default_adamw",
    "components.quantization": "Float8LinearConverter",
    "config": "CompileConfig, ParallelismConfig, TrainingConfig",
    "distributed.activation_checkpoint": "FullAC",
    "hf_datasets.text_datasets": "HuggingFaceTextDataLoader",
    "models.common.config_utils": "decoder_vocab_size",
    "trainer": "Trainer",
}


def _imports(module: str, plan: Plan) -> str:
    """Of what the module uses, and nothing else."""
    needless = {
        "components.quantization": plan.compute != "fp8",
        "distributed.activation_checkpoint": plan.recompute != "full",
    }
    names = {**IMPORTS, f"models.{module}": "model_registry"}
    lines = [
        f"from torchtitan.{place} import {what}\n"
        for place, what in sorted(names.items())
        if not needless.get(place)
    ]
    return "import os\n\n" + "".join(lines)


def _arguments(name: str, kind: str, values: dict[str, object]) -> str:
    inner = "".join(f"            {key}={value!r},\n" for key, value in values.items())
    return f"        {name}={kind}(\n{inner}        ),\n"


def _steps(job: Train, plan: Plan) -> int:
    return max(ceil(job.tokens / (plan.batch * learning_sequence(job))), 1)


def _warm(job: Train, plan: Plan) -> int:
    return max(_steps(job, plan) // 100, 1)


def _training(job: Train, plan: Plan) -> dict[str, object]:
    """A pipeline takes a rank's whole share at once and cuts it into micro-batches itself."""
    piped = plan.pipeline > 1
    return {
        "local_batch_size": plan.batch // plan.data if piped else plan.micro_batch,
        "global_batch_size": plan.batch,
        "seq_len": learning_sequence(job),
        "steps": _steps(job, plan),
        "mixed_precision_param": DTYPES[plan.compute],
        "mixed_precision_reduce": "float32",
        "disable_cuda_graphs": piped or plan.expert > 1,  # it has them for neither
    }


def _parallelism(job: Train, plan: Plan) -> dict[str, object]:
    inside = _inside(plan)
    found: dict[str, object] = {
        "data_parallel_replicate_degree": plan.data // inside,
        "data_parallel_shard_degree": inside,
        "fsdp_reshard_after_forward": "always" if plan.shard == 3 else "never",
        "tensor_parallel_degree": plan.tensor,
        "enable_sequence_parallel": plan.sequence,
        "context_parallel_degree": plan.context,
        "expert_parallel_degree": plan.expert,
        "pipeline_parallel_degree": plan.pipeline,
    }
    if plan.pipeline == 1:
        return found
    layers = job.model.layers
    return found | {
        "pipeline_parallel_schedule": _schedule(plan),
        "pipeline_parallel_microbatch_size": plan.micro_batch,
        "pipeline_parallel_layers_per_stage": ceil(layers / (plan.pipeline * plan.virtual)),
        "pipeline_parallel_first_stage_less_layers": 0,
        "pipeline_parallel_last_stage_less_layers": 0,
    }


def _schedule(plan: Plan) -> str:
    if plan.schedule == "gpipe":
        return "GPipe"
    return "Interleaved1F1B" if plan.virtual > 1 else "1F1B"


def _inside(plan: Plan) -> int:
    """Data-parallel ranks that share one copy; context ranks share it too."""
    if plan.shard < 2:
        return 1
    return (plan.shard_ranks or plan.data * plan.context) // plan.context


def _refuse(job: Train, plan: Plan) -> None:
    refusals.a_trainer(NAME, plan)
    refusals.one_of(NAME, plan, "compute", DTYPES)
    refusals.one_of(NAME, plan, "gradients", ("fp32",))
    refusals.one_of(NAME, plan, "optimizer", ("adam",))
    refusals.accumulation(NAME, plan)
    if plan.shard == 1 and plan.data * plan.context > 1:
        raise BadInput(
            "shard is 1; torchtitan shards gradients with the optimizer's state: plan with "
            "--shard 2 or 3, or write for megatron."
        )
    if plan.shard == 0 and plan.context > 1:
        raise BadInput(
            f"context is {plan.context} with shard 0; torchtitan shards weights over its context "
            "ranks: plan with --shard 3."
        )
    if plan.shard_ranks and plan.shard_ranks % plan.context:
        raise BadInput(
            f"shard_ranks is {plan.shard_ranks}; torchtitan shards over whole groups of the "
            f"{plan.context} context ranks: plan with a multiple of it."
        )
    _refuse_experts(job.model, plan)
    if plan.pipeline > 1:
        _refuse_stages(job, plan)
    if learning_sequence(job) % (plan.tensor * max(2 * plan.context, 1)):
        raise BadInput(
            f"sequences of {learning_sequence(job)} tokens do not divide by tensor × 2 context, "
            f"{plan.tensor} × {2 * plan.context}, as torchtitan cuts them."
        )


def _refuse_experts(model: Model, plan: Plan) -> None:
    routed = model.experts > 0
    refusals.experts(NAME, model, plan)
    if routed and plan.compute == "fp8":
        raise BadInput("eke writes torchtitan's fp8 for dense models only: plan with bf16.")
    ranks = _inside(plan) * plan.context * plan.tensor
    if routed and (plan.expert % plan.tensor or ranks % plan.expert):
        raise BadInput(
            f"expert is {plan.expert}; torchtitan cuts no expert and spreads them over the ranks "
            f"that share a copy: plan with a multiple of tensor {plan.tensor} that divides {ranks}."
        )


def _refuse_stages(job: Train, plan: Plan) -> None:
    refusals.one_of(NAME, plan, "schedule", ("1f1b", "interleaved", "gpipe"))
    layers, stages = job.model.layers, plan.pipeline * plan.virtual
    each = ceil(layers / stages)
    if ceil(layers / each) != stages:
        raise BadInput(
            f"{layers} layers in stages of at most {each} are not {stages} stages; torchtitan "
            "counts them so: plan with another --pipeline or --virtual."
        )
    if plan.virtual > 1 and refusals.accumulation(NAME, plan) % plan.pipeline:
        raise BadInput(
            f"{refusals.accumulation(NAME, plan)} micro-batches a step; torchtitan interleaves "
            f"multiples of the {plan.pipeline} pipeline ranks: change batch or micro_batch."
        )


def _lines(start: Start) -> list[str]:
    before, launcher = torchrun(start)
    return [
        needed("ASSETS", f"the folder with the tokenizer of {start.checkpoint}"),
        needed("DATA", "the name of a data set that torchtitan knows, such as c4"),
        needed("OUTPUT", "the folder for checkpoints and logs, seen by every server"),
        "export ASSETS DATA OUTPUT",
        'export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"',
        *before,
        "",
        f'{launcher} -m torchtitan.train \\\n  --module eke_torchtitan --config plan "$@"',
    ]
