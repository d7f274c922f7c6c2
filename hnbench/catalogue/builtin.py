"""The names that come with hnbench, as data: nothing is imported until one is asked for."""

from __future__ import annotations

from hnbench.catalogue.entries import (
    GeneratorEntry,
    MeasureEntry,
    MethodEntry,
    PromptsEntry,
    RewardEntry,
    SuiteEntry,
)
from hnbench.measures import sources as measure_sources
from hnbench.rewards import sources
from hnbench.shapes.preference import PREFERENCE

_SOURCES = "hnbench.generators.sources"
_DOWNLOAD = "a download from the Hub; in practice a GPU"
_GATED = f"its terms accepted and a token (it is gated); {_DOWNLOAD}"

GENERATORS: tuple[GeneratorEntry, ...] = (
    GeneratorEntry(
        "shapes",
        "hnbench.shapes.models:load_generator",
        "one-step distilled Stable Diffusion of the embedded shapes world, 64x64",
        image_size=64,
    ),
    GeneratorEntry(
        "sd-turbo",
        f"{_SOURCES}:SD_TURBO",
        "SD-Turbo, 0.9 billion parameters, 512x512, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=512,
    ),
    GeneratorEntry(
        "sdxl-turbo",
        f"{_SOURCES}:SDXL_TURBO",
        "SDXL-Turbo, 512x512, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=512,
    ),
    GeneratorEntry(
        "sdxl-dmd2",
        f"{_SOURCES}:SDXL_DMD2",
        "SDXL distilled by DMD2, 1024x1024, one step",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
    ),
    GeneratorEntry(
        "sdxl-dmd2-4step",
        f"{_SOURCES}:SDXL_DMD2_FOUR",
        "SDXL distilled by DMD2, 1024x1024, 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
        steps=4,
    ),
    GeneratorEntry(
        "sdxl-lightning",
        f"{_SOURCES}:SDXL_LIGHTNING",
        "SDXL-Lightning, 1024x1024, 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
        steps=4,
    ),
    GeneratorEntry(
        "sdxl-hyper",
        f"{_SOURCES}:SDXL_HYPER",
        "Hyper-SDXL, 1024x1024, one step",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
    ),
    GeneratorEntry(
        "sdxl-hyper-lora",
        f"{_SOURCES}:SDXL_HYPER_LORA",
        "Hyper-SDXL's unified LoRA, 1024x1024, 1 to 8 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
    ),
    GeneratorEntry(
        "sdxl-lcm",
        f"{_SOURCES}:SDXL_LCM",
        "SDXL with the LCM-LoRA, 1024x1024, 2 to 8 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
        steps=4,
    ),
    GeneratorEntry(
        "sdxl-tcd",
        f"{_SOURCES}:SDXL_TCD",
        "SDXL with the TCD-LoRA, 1024x1024, 4 steps or more",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
        steps=4,
    ),
    GeneratorEntry(
        "pixart-dmd",
        f"{_SOURCES}:PIXART_DMD",
        "PixArt-alpha DMD, 512x512, one step",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=512,
    ),
    GeneratorEntry(
        "sana-sprint-0.6b",
        f"{_SOURCES}:SANA_SPRINT_SMALL",
        "SANA-Sprint, 0.6 billion parameters, 1024x1024, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
    ),
    GeneratorEntry(
        "sana-sprint-1.6b",
        f"{_SOURCES}:SANA_SPRINT_LARGE",
        "SANA-Sprint, 1.6 billion parameters, 1024x1024, 1 to 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
    ),
    GeneratorEntry(
        "flux-schnell",
        f"{_SOURCES}:FLUX_SCHNELL",
        "FLUX.1-schnell, 12 billion parameters, 512x512, 1 to 4 steps",
        needs=_GATED,
        dtype="bfloat16",
        image_size=512,
    ),
    GeneratorEntry(
        "z-image-turbo",
        f"{_SOURCES}:Z_IMAGE_TURBO",
        "Z-Image-Turbo, 6 billion parameters, 1024x1024, 8 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
        steps=8,
    ),
    GeneratorEntry(
        "flux2-klein",
        f"{_SOURCES}:FLUX2_KLEIN",
        "FLUX.2-klein, 4 billion parameters, 1024x1024, 4 steps",
        needs=_DOWNLOAD,
        dtype="bfloat16",
        image_size=1024,
        steps=4,
    ),
    GeneratorEntry(
        "sd3.5-large-turbo",
        f"{_SOURCES}:SD3_5_LARGE_TURBO",
        "Stable Diffusion 3.5 Large Turbo, 8 billion parameters, 1024x1024, 4 steps",
        needs=_GATED,
        dtype="bfloat16",
        image_size=1024,
        steps=4,
    ),
)

REWARDS: tuple[RewardEntry, ...] = (
    RewardEntry(
        "shapes-clip",
        "hnbench.shapes.models:load_clip",
        "how well a shapes image fits its caption, by a small CLIP",
    ),
    RewardEntry(
        "shapes-resnet",
        "hnbench.shapes.models:load_resnet",
        "the same, by open_clip's CLIP with a ResNet",
    ),
    RewardEntry(
        "shapes-byobnet",
        "hnbench.shapes.models:load_byobnet",
        "the same, by open_clip's CLIP with a ByobNet",
    ),
    RewardEntry(
        "shapes-preference",
        "hnbench.rewards.base:Mixture",
        "what the shapes preset optimises: shapes-clip, shapes-resnet and shapes-byobnet",
        weights=PREFERENCE,
    ),
    RewardEntry(
        "shapes-efficientnet",
        "hnbench.shapes.models:load_efficientnet",
        "the same question asked of an EfficientNet; held out",
    ),
    RewardEntry(
        "redness",
        "hnbench.rewards.redness:load",
        "red minus the mean of green and blue; knows nothing of the prompt",
    ),
    RewardEntry(
        "hpsv2.1",
        "hnbench.rewards.hpsv2:load_v21",
        "human preference score v2.1, a cosine",
        sources=sources.HPSV2_1,
    ),
    RewardEntry(
        "hpsv2.0",
        "hnbench.rewards.hpsv2:load_v20",
        "human preference score v2.0, a cosine",
        sources=sources.HPSV2_0,
    ),
    RewardEntry(
        "imagereward",
        "hnbench.rewards.imagereward:load",
        "human preference, by BLIP",
        sources=sources.IMAGEREWARD,
    ),
    RewardEntry(
        "pickscore",
        "hnbench.rewards.clip:load_pickscore",
        "human preference: CLIP trained on Pick-a-Pic",
        sources=sources.PICKSCORE,
    ),
    RewardEntry(
        "clip",
        "hnbench.rewards.clip:load",
        "CLIP score, 100 times a cosine; clip@OTHER for any CLIPModel",
        sources=sources.CLIP,
    ),
    RewardEntry(
        "aesthetic",
        "hnbench.rewards.aesthetic:load",
        "LAION's aesthetic predictor; ignores the prompt",
        sources=sources.AESTHETIC,
    ),
    RewardEntry(
        "hpsv3",
        "hnbench.rewards.hpsv3:load",
        "human preference score v3, by Qwen2-VL 7B: a large one, to hold out",
        sources=sources.HPSV3,
        data_files=(sources.HPSV3_TEXT,),
    ),
    RewardEntry(
        "human-preference",
        "hnbench.rewards.base:Mixture",
        "what ReNO and HyperNoise optimise: 5 hpsv2.1 + imagereward + 0.01 clip + 0.05 pickscore",
        weights=sources.HUMAN_PREFERENCE,
    ),
)

_BY_HAND = "its prompt files, got by hand: set HNBENCH_DATA"

SUITES: tuple[SuiteEntry, ...] = (
    SuiteEntry(
        "geneval-shapes",
        "hnbench.suites.shapes:ShapesSuite",
        "GenEval's six tasks in the shapes world, judged by a classical detector",
    ),
    SuiteEntry(
        "t2i-compbench",
        "hnbench.suites.t2i_compbench.suite:CompBenchSuite",
        "T2I-CompBench++'s eight categories (t2i-compbench:color for one), judged by BLIP-VQA, a"
        " detector and CLIPScore",
        needs="its prompts and its judges' models, downloaded on first use",
        parts=(
            "color",
            "shape",
            "texture",
            "spatial",
            "3d-spatial",
            "numeracy",
            "non-spatial",
            "complex",
        ),
        options=("blip", "clip", "detector", "depth", "parser", "rules"),
        protocol="hnbench.suites.t2i_compbench.suite:CompBenchProtocol",
    ),
    SuiteEntry(
        "parti",
        "hnbench.suites.prompt_sets:parti",
        "PartiPrompts, 1632 prompts; no judge",
        needs="its prompts, downloaded on first use",
        protocol="hnbench.suites.prompt_sets:parti_protocol",
    ),
    SuiteEntry(
        "hpdv2",
        "hnbench.suites.prompt_sets:hpdv2",
        "HPDv2's benchmark, 3200 prompts in four styles; no judge",
        needs=_BY_HAND,
        protocol="hnbench.suites.prompt_sets:hpdv2_protocol",
    ),
    SuiteEntry(
        "dpg",
        "hnbench.suites.prompt_sets:dpg",
        "DPG-Bench's 1065 long prompts; no judge",
        needs=_BY_HAND,
        protocol="hnbench.suites.prompt_sets:dpg_protocol",
    ),
    SuiteEntry(
        "geneval",
        "hnbench.suites.geneval.suite:GenEvalSuite",
        "GenEval as published: 553 prompts, 4 images each",
        needs="a download of 2 GB: Mask2Former of mmdet, CLIP ViT-L/14",
        protocol="hnbench.suites.geneval.suite:GenEvalProtocol",
    ),
    SuiteEntry(
        "geneval-hf",
        "hnbench.suites.geneval.suite:GenEvalHuggingFaceSuite",
        "geneval with another training of the detector; not comparable with published scores",
        needs="a download of 2 GB: Mask2Former of the Hub, CLIP ViT-L/14",
        protocol="hnbench.suites.geneval.suite:GenEvalProtocol",
    ),
    SuiteEntry(
        "geneval2",
        "hnbench.suites.geneval2.suite:GenEval2Suite",
        "GenEval 2: 800 prompts of 3 to 10 atoms, judged by a vision-language model",
        needs="its prompts (CC-BY-NC 4.0), and a download of some 18 GB: Qwen3-VL-8B-Instruct",
        options=("mean", "vlm"),
        protocol="hnbench.suites.geneval2.suite:GenEval2Protocol",
    ),
    SuiteEntry(
        "genai-bench",
        "hnbench.suites.genai_bench.suite:genai_bench",
        "GenAI-Bench: 1600 prompts that designers wrote, graded by VQAScore",
        needs=f"{_BY_HAND}; and a download of some 17 GB: Qwen2.5-VL-7B-Instruct",
        options=("vlm",),
        protocol="hnbench.suites.genai_bench.suite:genai_bench_protocol",
    ),
    SuiteEntry(
        "dpg-vlm",
        "hnbench.suites.dpg_vlm.suite:dpg_vlm",
        "DPG-Bench's prompts and questions, answered by a vision-language model; not DPG's score",
        needs="its prompts, and a download of some 18 GB: Qwen3-VL-8B-Instruct",
        options=("vlm",),
        protocol="hnbench.suites.dpg_vlm.suite:dpg_vlm_protocol",
    ),
)

MEASURES: tuple[MeasureEntry, ...] = (
    MeasureEntry(
        "lpips",
        "hnbench.measures.lpips:load",
        "diversity: mean LPIPS (AlexNet) between a prompt's images; higher is more diverse",
        needs="a download of 244 MB: AlexNet",
    ),
    MeasureEntry(
        "dino-similarity",
        "hnbench.measures.published:dino_similarity",
        "diversity: mean cosine of DINOv2 ViT-B/14 between a prompt's images; lower is more"
        " diverse",
        sources=(measure_sources.DINOV2_BASE,),
    ),
    MeasureEntry(
        "dino-vendi",
        "hnbench.measures.published:dino_vendi",
        "diversity: Vendi score of the same features, the effective number of different images",
        sources=(measure_sources.DINOV2_BASE,),
    ),
    MeasureEntry(
        "cmmd",
        "hnbench.measures.published:cmmd",
        "fidelity: CMMD to the base's images, by CLIP ViT-L/14 at 336 pixels",
        sources=(measure_sources.CLIP_336,),
    ),
    MeasureEntry(
        "fd-dinov2",
        "hnbench.measures.published:fd_dinov2",
        "fidelity: Fréchet distance to the base's images, by DINOv2 ViT-L/14",
        sources=(measure_sources.DINOV2_LARGE,),
    ),
    MeasureEntry(
        "vqascore",
        "hnbench.measures.vqascore:load",
        "does the image show what the prompt says, asked of a vision-language model;"
        " vqascore@OWNER/NAME for another",
        sources=(measure_sources.VQASCORE,),
    ),
    MeasureEntry(
        "shapes-similarity",
        "hnbench.measures.shapes:similarity",
        "dino-similarity's formula over the image features of shapes-efficientnet",
    ),
    MeasureEntry("shapes-vendi", "hnbench.measures.shapes:vendi", "dino-vendi's formula over them"),
    MeasureEntry("shapes-mmd", "hnbench.measures.shapes:mmd", "cmmd's formula over them"),
    MeasureEntry("shapes-fd", "hnbench.measures.shapes:frechet", "fd-dinov2's formula over them"),
)

PROMPT_FILES = SuiteEntry(
    "FILE",
    "hnbench.suites.prompt_file:PromptFileSuite",
    "the prompts of a text, CSV, TSV, JSONL or JSON file; no judge",
)
"""The entry for a suite given as a file path."""

METHODS: tuple[MethodEntry, ...] = (
    MethodEntry(
        "random",
        "hnbench.methods.random:Random",
        "the starting noise itself; the base of every comparison",
    ),
    MethodEntry(
        "best-of-n",
        "hnbench.methods.best_of_n:BestOfN",
        "the best of n noises by the optimised reward",
    ),
    MethodEntry(
        "reno",
        "hnbench.methods.reno:ReNO",
        "gradient ascent of the optimised reward in the noise, per sample",
    ),
    MethodEntry(
        "zero-order",
        "hnbench.methods.zero_order:ZeroOrder",
        "step by step to the best neighbour of a noise, without gradients",
        default=False,
    ),
    MethodEntry(
        "spectral",
        "hnbench.methods.spectral:Spectral",
        "SES: cross-entropy search in the low frequencies of the noise",
        default=False,
    ),
    MethodEntry(
        "evolution",
        "hnbench.methods.evolution:Evolution",
        "EvoSearch: children of the best noises of a population",
        default=False,
    ),
    MethodEntry(
        "prompt-search",
        "hnbench.methods.prompt_search:PromptSearch",
        "MILS: other words for the prompt, by a language model, a program or built-in rules",
        default=False,
    ),
    MethodEntry(
        "gper",
        "hnbench.methods.gper:GPER",
        "ReNO with Adam and gradients made white noise",
        default=False,
    ),
    MethodEntry(
        "mpgr",
        "hnbench.methods.mpgr:MPGR",
        "ReNO with a regulariser that looks at frequencies, 500 iterations",
        default=False,
    ),
    MethodEntry(
        "dno",
        "hnbench.methods.dno:DNO",
        "direct noise optimisation: AdamW, 100 iterations",
        default=False,
    ),
    MethodEntry(
        "hybrid",
        "hnbench.methods.hybrid:Hybrid",
        "dno for rewards without gradient, which it estimates from neighbours",
        default=False,
    ),
    MethodEntry(
        "oracle",
        "hnbench.methods.oracle:Oracle",
        "no method: hybrid with the judge's grade as its reward, to see what is within reach",
        default=False,
    ),
    MethodEntry(
        "pcn",
        "hnbench.methods.pcn:PCN",
        "a sample of the reward-tilted noise, by a chain without gradients; and the best it saw",
        default=False,
    ),
    MethodEntry(
        "langevin",
        "hnbench.methods.langevin:Langevin",
        "a sample of the reward-tilted noise, by a chain along gradients; and the best it saw",
        default=False,
    ),
    MethodEntry(
        "hypernoise",
        "hnbench.methods.hypernoise:HyperNoise",
        "the noise changed by a trained hypernetwork, in one pass",
        needs="a trained hypernetwork",
        adapter="hypernoise",
    ),
    MethodEntry(
        "finetune",
        "hnbench.methods.finetune:FineTuned",
        "the generator with a LoRA trained on the same reward",
        needs="a fine-tuned adapter",
        adapter="finetune",
    ),
    MethodEntry(
        "amortised",
        "hnbench.methods.amortised:Amortised",
        "the noise changed by a network that learnt what ReNO adds to noises, in one pass",
        needs="a hypernetwork trained by regression",
        adapter="regression",
        default=False,
    ),
    MethodEntry(
        "hypernoise-random-direction",
        "hnbench.methods.controls:RandomDirection",
        "control: a random direction of the length of the hypernetwork's change",
        needs="a trained hypernetwork",
        adapter="hypernoise",
    ),
    MethodEntry(
        "hypernoise-other-noise",
        "hnbench.methods.controls:OtherNoise",
        "control: the change that the hypernetwork computes for another noise",
        needs="a trained hypernetwork",
        adapter="hypernoise",
    ),
    MethodEntry(
        "hypernoise-other-prompt",
        "hnbench.methods.controls:OtherPrompt",
        "control: the change that the hypernetwork computes for another prompt",
        needs="a trained hypernetwork",
        adapter="hypernoise",
        default=False,
    ),
    MethodEntry(
        "hypernoise-static",
        "hnbench.methods.controls:Static",
        "control: the hypernetwork's mean change over prompts and noises",
        needs="a trained hypernetwork",
        adapter="hypernoise",
        default=False,
    ),
)


PROMPTS: tuple[PromptsEntry, ...] = (
    PromptsEntry(
        "shapes",
        "hnbench.catalogue.training_prompts:shapes",
        "the captions that the shapes adapters were trained on",
    ),
    PromptsEntry(
        "hypernoise",
        "hnbench.catalogue.training_prompts:hypernoise",
        "the next three together, some 70,000: what HyperNoise was trained on",
        needs="downloads of some 6 MB",
    ),
    PromptsEntry(
        "t2i-compbench-train",
        "hnbench.catalogue.training_prompts:t2i_compbench",
        "T2I-CompBench's 4,900 training prompts",
        needs="a download of 0.3 MB",
    ),
    PromptsEntry(
        "abc-6k",
        "hnbench.catalogue.training_prompts:abc_6k",
        "ABC-6K's 6,434 prompts with two coloured things",
        needs="a download of 0.4 MB",
    ),
    PromptsEntry(
        "pick-a-pic",
        "hnbench.catalogue.training_prompts:pick_a_pic",
        "HyperNoise's list of some 59,000 prompts of Pick-a-Pic, unfiltered",
        needs="a download of some 5 MB",
    ),
    PromptsEntry(
        "hypernoise-examples",
        "hnbench.catalogue.training_prompts:hypernoise_examples",
        "the official code's 25 examples",
        needs="a download of 3 kB",
    ),
)
