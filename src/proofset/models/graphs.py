"""A Llama as an OpenVINO graph with a paged cache: built from plain weights, kept as a file, evaluated in batches.

Weights are 16-bit floats of what the file's blocks stand for. No kernel ever sees the blocks, so none can read them
wrongly. Attention reads the cache through lists of blocks, so sequences of any length share a batch, and share the
blocks of a common beginning.

On one thread a row's scores do not depend on the rows beside it, bit for bit: every sum runs in the same order whatever
the size of the batch. On several threads they do, so each thread gets a lane of its own, with the weights in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proofset.errors import ConfigError
from proofset.models.gguf import LlamaFile

FAR = 2**63 - 1
"""The end of an axis, however long."""


@dataclass(frozen=True, slots=True)
class Row:
    """Tokens of one sequence to evaluate now, after ``past`` ones that lie in its ``blocks`` already."""

    tokens: Sequence[int]
    past: int
    blocks: Sequence[int]
    """Blocks of the cache for past and new tokens, in order."""


def save_graph(model: LlamaFile, path: Path) -> None:
    """Write the graph of a model, and its weights beside it."""
    import openvino

    openvino.save_model(_Builder(model).graph(), str(path), compress_to_fp16=False)


class Compiled:
    """A saved graph made ready for this processor; lanes evaluate it side by side, on one thread each.

    ``block_tokens`` is what one block of the cache holds, as the kernels of this processor want it.
    """

    def __init__(self, path: Path, lanes: int) -> None:
        """Raises ConfigError when OpenVINO cannot read or compile it."""
        from openvino._offline_transformations import paged_attention_transformation

        core = _core()
        self.precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
        settings = {
            "INFERENCE_NUM_THREADS": lanes,
            "NUM_STREAMS": lanes,
            "ENABLE_CPU_PINNING": False,  # other processes may have been pinned to the same core
            "INFERENCE_PRECISION_HINT": self.precision,
            "KV_CACHE_PRECISION": self.precision,
        }
        try:
            graph = core.read_model(str(path))
            paged_attention_transformation(graph)
            self._compiled = core.compile_model(graph, "CPU", settings)
        except RuntimeError as error:
            raise ConfigError(f"{path}: OpenVINO cannot compile it: {error}", hint="delete its folder") from error
        self._caches = {port.any_name: port for port in self._compiled.inputs if "_cache." in port.any_name}
        self.block_tokens = int(next(iter(self._caches.values())).partial_shape[2].get_length())

    def lane(self, blocks: int) -> PagedLane:
        """A lane with a cache of so many blocks of its own. Their memory is taken when they are first written."""
        import openvino

        request = self._compiled.create_infer_request()
        caches = []
        for name, port in self._caches.items():
            shape = [blocks, *(size.get_length() for size in list(port.partial_shape)[1:])]
            cache = openvino.Tensor(port.element_type, openvino.Shape(shape))
            request.set_tensor(name, cache)
            caches.append(cache.data)
        return PagedLane(request, caches, self.block_tokens)


@cache
def _core() -> Any:
    """OpenVINO itself, once and for the life of the process.

    It gives the thread that first asks for it a stack for signals, and takes the memory back wherever the last user
    happens to let go. On another thread that leaves the first one without a stack, and its next signal, say a Ctrl-C,
    ends the process.
    """
    import openvino

    return openvino.Core()


class PagedLane:
    """One thread's way through the graph, with its own cache."""

    def __init__(self, request: Any, caches: list[Any], block_tokens: int) -> None:
        import openvino

        self._tensor, self._request, self._caches = openvino.Tensor, request, caches
        self.blocks, self.block_tokens = len(caches[0]), block_tokens

    def evaluate(self, rows: Sequence[Row], *, every: bool = False) -> NDArray[np.float32]:
        """Token scores after each row's last token, or ``every`` one: ``(n, n_vocabulary)``, until the next call."""
        lengths = [len(row.tokens) for row in rows]
        ends = np.cumsum(lengths)
        scored = np.arange(ends[-1]) if every else ends - 1
        inputs = {
            "input_ids": np.concatenate([row.tokens for row in rows]).astype(np.int64),
            "position_ids": np.concatenate([row.past + np.arange(len(row.tokens)) for row in rows]).astype(np.int64),
            "past_lens": np.array([row.past for row in rows], np.int32),
            "subsequence_begins": np.array([0, *ends], np.int32),
            "block_indices": np.concatenate([row.blocks for row in rows]).astype(np.int32),
            "block_indices_begins": np.cumsum([0, *(len(row.blocks) for row in rows)]).astype(np.int32),
            "max_context_len": np.array(max(row.past + len(row.tokens) for row in rows), np.int32),
            "scored": scored.astype(np.int32),
        }
        self._request.infer({name: self._tensor(array) for name, array in inputs.items()})
        scores: NDArray[np.float32] = self._request.get_output_tensor(0).data
        return scores.reshape(len(scored), -1)

    def copy(self, source: int, target: int) -> None:
        """Let one block of the cache hold what another does."""
        for held in self._caches:
            held[target] = held[source]


class _Builder:
    """Puts the graph together, operation by operation, in the forms that OpenVINO knows how to fuse.

    Shapes: ``(batch, n, width)`` between layers, ``(batch, heads, n, head_width)`` inside attention. The cache is drawn
    as variables that grow; reading the graph replaces them, and the batch, by blocks and lists of them.
    """

    def __init__(self, model: LlamaFile) -> None:
        import openvino.opset13 as op

        self.op: Any = op
        self.model, self.sizes = model, model.sizes
        self.sinks: list[Any] = []

    def graph(self) -> Any:
        """The whole model: from tokens and their places to scores of the tokens that are asked for."""
        from openvino import Model

        op = self.op
        tokens, places = self._input("input_ids", 2), self._input("position_ids", 2)
        mask, scored = self._input("attention_mask", 2), self._input("scored", 1)
        self.order = self._input("beam_idx", 1)
        embedding = self._floats(self.model.weight("token_embd"))
        states = op.gather(embedding, op.convert(tokens, "i32"), self._ints(0))
        self.mask = op.unsqueeze(op.unsqueeze(op.convert(mask, "f32"), self._ints(1)), self._ints(1))
        self.batch = op.gather(op.shape_of(places), self._ints([0]), self._ints(0))
        turn = self._turn(places)
        for layer in range(self.sizes.layers):
            states = self._layer(f"blk.{layer}", states, turn)
        states = self._normed(op.gather(states, scored, self._ints(0)), "output_norm")
        tied = self.model.head == "token_embd"
        head = embedding if tied else self._floats(self.model.weight(self.model.head))
        result = op.result(op.matmul(states, head, False, True))
        return Model([result], self.sinks, [tokens, places, mask, self.order, scored], "llama")

    def _layer(self, at: str, states: Any, turn: Callable[[Any], Any]) -> Any:
        op, sizes = self.op, self.sizes
        normed = self._normed(states, f"{at}.attn_norm")
        queries = turn(self._heads(self._times(normed, f"{at}.attn_q"), sizes.heads))
        keys = turn(self._heads(self._times(normed, f"{at}.attn_k"), sizes.kv_heads))
        values = self._heads(self._times(normed, f"{at}.attn_v"), sizes.kv_heads)
        keys, values = self._remembered(keys, f"{at}.key"), self._remembered(values, f"{at}.value")
        heard = op.scaled_dot_product_attention(queries, keys, values, self.mask, causal=False)
        heard = op.reshape(op.transpose(heard, self._ints([0, 2, 1, 3])), self._ints([0, 0, -1]), True)
        states = op.add(states, self._times(heard, f"{at}.attn_output"))
        normed = self._normed(states, f"{at}.ffn_norm")
        gated = op.multiply(op.swish(self._times(normed, f"{at}.ffn_gate")), self._times(normed, f"{at}.ffn_up"))
        return op.add(states, self._times(gated, f"{at}.ffn_down"))

    def _remembered(self, new: Any, name: str) -> Any:
        """All keys or values so far, the new ones last, each as often as there are query heads that read it."""
        from openvino import PartialShape, Type
        from openvino.op import assign, read_value
        from openvino.op.util import Variable, VariableInfo

        op, heads, width = self.op, self.sizes.kv_heads, self.sizes.head_width
        info = VariableInfo()
        info.data_shape, info.data_type, info.variable_id = PartialShape([-1, heads, -1, width]), Type.f32, name
        variable = Variable(info)
        empty = op.broadcast(op.constant(np.float32(0)), op.concat([self.batch, self._ints([heads, 0, width])], 0))
        known = op.concat([op.gather(read_value(empty, variable), self.order, self._ints(0)), new], 2)
        self.sinks.append(assign(known, variable))
        shape = op.shape_of(known)
        before, after = (op.gather(shape, self._ints(axes), self._ints(0)) for axes in ([0, 1], [2, 3]))
        often = op.concat([before, self._ints([self.sizes.heads // heads]), after], 0)
        spread = op.broadcast(op.unsqueeze(known, self._ints(2)), often, broadcast_spec="BIDIRECTIONAL")
        return op.reshape(spread, self._ints([0, self.sizes.heads, -1, width]), True)

    def _turn(self, places: Any) -> Callable[[Any], Any]:
        """Turns pairs of numbers by angles that grow with their place; pairs lie half a head apart."""
        op, width = self.op, self.sizes.head_width
        speeds = (self.sizes.rope_base ** (-np.arange(0, width, 2) / width)).astype(np.float32)
        # Details matter: in exactly this form it is known as rotary, and kept in 32 bits when all else is in 16.
        lanes = op.concat([self.batch, self._ints([1, 1])], 0)
        steps = op.broadcast(op.constant(speeds[None, :, None]), lanes, broadcast_spec="BIDIRECTIONAL")
        angles = op.matmul(steps, op.convert(op.unsqueeze(places, self._ints(1)), "f32"), False, False)
        angles = op.transpose(angles, self._ints([0, 2, 1]))
        angles = op.concat([angles, angles], -1)
        cos, sin = (op.unsqueeze(wave(angles), self._ints(1)) for wave in (op.cos, op.sin))

        def turned(heads: Any) -> Any:
            first, second = (
                op.slice(heads, self._ints([start]), self._ints([stop]), self._ints([1]), self._ints([3]))
                for start, stop in ((0, width // 2), (width // 2, FAR))
            )
            across = op.concat([op.multiply(second, op.constant(np.full((1, 1, 1, 1), -1, np.float32))), first], -1)
            return op.add(op.multiply(heads, cos), op.multiply(across, sin))

        return turned

    def _normed(self, states: Any, name: str) -> Any:
        op = self.op
        square = op.reduce_mean(op.power(states, op.constant(np.float32(2))), self._ints([-1]), True)
        root = op.sqrt(op.add(square, op.constant(np.float32(self.sizes.epsilon))))
        scale = op.constant(self.model.weight(name)[None, None])
        return op.multiply(scale, op.multiply(states, op.divide(op.constant(np.float32(1)), root)))

    def _times(self, states: Any, name: str) -> Any:
        weight = self.model.weight(name)
        if name.endswith(("attn_q", "attn_k")):  # the file has the parts of a pair side by side
            pairs = weight.reshape(-1, self.sizes.head_width // 2, 2, weight.shape[1])
            weight = pairs.swapaxes(1, 2).reshape(weight.shape)
        return self.op.matmul(states, self._floats(weight), False, True)

    def _heads(self, states: Any, heads: int) -> Any:
        split = self.op.reshape(states, self._ints([0, 0, heads, self.sizes.head_width]), True)
        return self.op.transpose(split, self._ints([0, 2, 1, 3]))

    def _floats(self, weight: NDArray[np.float32]) -> Any:
        return self.op.convert(self.op.constant(weight.astype(np.float16)), "f32")

    def _ints(self, numbers: int | list[int]) -> Any:
        return self.op.constant(np.array(numbers, np.int64))

    def _input(self, name: str, axes: int) -> Any:
        made = self.op.parameter([-1] * axes, np.int32 if axes == 1 else np.int64, name=name)
        made.output(0).get_tensor().set_names({name})
        return made
