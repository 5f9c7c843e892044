"""The embedded models' entries: TinyWorld, and its relative where its weights lie."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from ...cache.methods.bwcache import BWCacheConfig
from ...cache.methods.bwcache_plus import BWCachePlusConfig
from ...cache.methods.skip_cache import SkipCacheConfig
from ...files import ASSETS
from ..spec import MethodFacts, ModelSpec, Preset, Shape, Weights

SWEEP = "assets/results/tinyworld-presets.json"
LEADERBOARD = "assets/results/leaderboard.json"
SKIP_SWEEP = "assets/results/tinyworld-skip.json"

TINYWORLD = ModelSpec(
    name="tinyworld",
    version="2",  # the first drew 64×64 pixels
    title="TinyWorld (embedded)",
    about="Trained for this demo: shapes that move. Runs on any computer.",
    weights=Weights(
        source="tinyworld",
        licence="Apache-2.0",
        dtypes=MappingProxyType({"default": "float32"}),
        parameters=MappingProxyType({"transformer": 0.0031, "vae": 0.002, "text_encoder": 0.0007}),
    ),
    pipeline="WanPipeline",
    shape=Shape(height=128, width=128, num_frames=33, fps=16),
    loader="bwcache.models.embedded:load",
    needs_cuda=False,
    steps=30,
    scheduler="UniPCMultistepScheduler",
    scheduler_options=MappingProxyType({"flow_shift": 2.0}),
    call=MappingProxyType(
        {"guidance_scale": 2.0, "negative_prompt": "", "max_sequence_length": 24}
    ),
    activations_gb=0.5,
    caching=MappingProxyType(
        {
            BWCacheConfig.name: MethodFacts(
                presets=MappingProxyType(
                    {
                        "Safe": Preset(BWCacheConfig(0.05, 2, reuse="forecast"), SWEEP),
                        "Balanced": Preset(BWCacheConfig(0.05, 4, reuse="forecast"), SWEEP),
                        "Fast": Preset(BWCacheConfig(0.08, 2, reuse="forecast"), SWEEP),
                    }
                ),
                indicator_range=(0.025, 0.109),
                pays_from=MappingProxyType(
                    {"residual": (21, 30), "output": (21, 30), "forecast": (16, 30)}
                ),
            ),
            BWCachePlusConfig.name: MethodFacts(
                presets=MappingProxyType(
                    {
                        "Safe": Preset(BWCachePlusConfig(work_share=0.5), LEADERBOARD),
                        "Balanced": Preset(BWCachePlusConfig(work_share=0.4), LEADERBOARD),
                        "Fast": Preset(BWCachePlusConfig(work_share=0.33), LEADERBOARD),
                    }
                ),
            ),
        }
    ),
    examples=(
        "a red circle moving right on a white background",
        "a blue circle moving up on an orange background",
        "a yellow triangle growing on a black background",
        "a green circle moving up and a purple square moving down on a white background",
    ),
    prompt_check="bwcache.tinyworld.grammar:parse",
    prompt_menus="bwcache.tinyworld.menus",
    random_builder="bwcache.models.embedded:build",
)

TINYWORLD_SKIP = replace(
    TINYWORLD,
    name="tinyworld-skip",
    version="1",
    title="TinyWorld with long skips",
    about="TinyWorld with skips: late blocks are given early ones' outputs, too.",
    weights=replace(
        TINYWORLD.weights,
        source="tinyworld-skip",
        parameters=MappingProxyType(
            {"transformer": 0.0033, "vae": 0.002, "text_encoder": 0.0007},
        ),
    ),
    caching=MappingProxyType(
        {
            SkipCacheConfig.name: MethodFacts(
                presets=MappingProxyType(
                    {
                        "Safe": Preset(SkipCacheConfig(2, 2), SKIP_SWEEP),
                        "Balanced": Preset(SkipCacheConfig(2, 1), SKIP_SWEEP),
                        "Fast": Preset(SkipCacheConfig(3, 1), SKIP_SWEEP),
                    }
                )
            )
        }
    ),
    long_skips=3,
)
# an installation may leave its weights out
OPTIONAL = (TINYWORLD_SKIP,) if (ASSETS / TINYWORLD_SKIP.weights.source).is_dir() else ()

ENTRIES = (TINYWORLD, *OPTIONAL)
