"""What papers and official scripts publish, in one table: name, value, source.

Written from the sources, not from the code: `tests/test_published_constants.py` compares the two.

Sources: [H] the HyperNoise paper (arXiv 2508.09968 v1), [Hc] its code (ExplainableML/HyperNoise:
scripts at bbe3ab4, SD-Turbo's at 1d5d3db), [R] the ReNO paper (arXiv 2406.04312), [Rc] its code
(ExplainableML/ReNO bd6f6ac), [G] GenEval (djghosh13/geneval af4902f), [T] T2I-CompBench
(Karine-Huang/T2I-CompBench 1b70949). "ours" marks a choice of this package where nothing is
published, or where docs/training.md says why it differs.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Published(NamedTuple):
    """One value, and where it stands."""

    name: str
    value: Any
    source: str


class Training(NamedTuple):
    """One setting of the published trainings by generator, each (as in the code, in the paper)."""

    name: str
    sd_turbo: tuple[Any, Any]
    sana_sprint: tuple[Any, Any]
    flux: tuple[Any, Any]
    source: str


def alike(value: Any) -> tuple[Any, Any]:
    """Code and paper agree, or only one of them says it."""
    return value, value


MEAN_OR_SUM = ("mean", "sum")

TRAININGS = (
    Training("optimizer", alike("sgd"), alike("sgd"), alike("adamw"), "[H] Table 4, [Hc] scripts"),
    Training("learning_rate", alike(1e-3), alike(1e-3), alike(2e-5), "[H] Table 4, [Hc] scripts"),
    Training("momentum", alike(0.9), alike(0.9), alike(0.9), "[Hc] optim.py; AdamW has none"),
    Training("weight_decay", alike(0.0), alike(0.0), alike(1e-4), "[Hc] optim.py"),
    Training("gradient_clip", (10.0, 1.0), alike(1.0), alike(1.0), "[Hc] scripts, [H] Table 4"),
    Training("rank", alike(128), alike(128), alike(128), "[H] Table 4, [Hc] scripts"),
    Training("lora_alpha", (128, 256), alike(256), (640, 5), "[Hc] 128 x 1, 2, 5; [H] Table 4"),
    Training("batch_size", (3, 8), alike(3), alike(1), "[Hc] 18, 18, 7 and [H] 48 over the GPUs"),
    Training("accumulation", alike(6), alike(18), alike(28), "GPUs x [Hc] 1, 3, 4: 6, 18, 28"),
    Training("steps", (97_625, 36_600), (39_030, 32_525), (75_300, 62_750), "epochs x 70,294"),
    Training("warmup_steps", alike(0), alike(600), alike(700), "[Hc] 0; 100 x 6; 100 x 7 GPUs"),
    Training("schedule", alike("constant"), alike("constant"), alike("constant"), "[Hc] optim.py"),
    Training("noise", alike("fresh"), alike("batch"), alike("batch"), "[Hc] latent_type"),
    Training("dense_convolutions", alike(False), alike(True), alike(False), "[Hc] peft < 0.16"),
    Training("target_pattern", alike(None), alike(None), alike(None), "[Hc] all Linear, Conv2d"),
    Training(
        "regulariser_reduction",
        MEAN_OR_SUM,
        MEAN_OR_SUM,
        MEAN_OR_SUM,
        "[Hc] mean of squares; [H] Eq. 11",
    ),
    Training("regulariser_weight", alike(1.0), alike(1.0), alike(1.0), "[Hc] 0.5 x mean; Eq. 11"),
    Training("image_penalty", alike(0.0), alike(0.0), alike(0.0), "[H], [Hc]: none"),
    Training("seed", alike(0), alike(0), alike(0), "[Hc] main.py"),
    Training(
        "lora_dtype",
        alike("float32"),
        alike("float32"),
        alike("float32"),
        "ours; [Hc] bfloat16, docs/training.md",
    ),
    Training("eval_every", alike(500), alike(500), alike(500), "ours"),
    Training("eval_prompts", alike(32), alike(32), alike(32), "ours"),
    Training("eval_samples", alike(4), alike(4), alike(4), "ours"),
    Training("save_every", alike(500), alike(500), alike(500), "ours"),
    Training("memory", alike("none"), alike("none"), alike("none"), "ours"),
    Training("image_size", alike(None), alike(None), alike(None), "the generator's own"),
    Training("prompt_prefix", alike(None), alike(None), alike(None), "the generator's default"),
    Training(
        "max_sequence_length", alike(None), alike(None), alike(None), "the generator's default"
    ),
)

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PREFERENCES = {"hpsv2.1": 5.0, "imagereward": 1.0, "clip": 0.01, "pickscore": 0.05}

CONSTANTS = (
    # methods
    Published("reno/iterations", 50, "[R] section 4; [Rc] arguments.py n_iters"),
    Published("reno/learning_rate", 5.0, "[R] for 512 pixels; [Rc] arguments.py lr"),
    Published("reno/momentum", 0.9, "[Rc] torch.optim.SGD"),
    Published("reno/nesterov", True, "[Rc] torch.optim.SGD"),
    Published("reno/gradient_clip", 0.1, "[R]; [Rc] arguments.py grad_clip"),
    Published("reno/regulariser_weight", 0.01, "[R]; [Rc] arguments.py reg_weight"),
    Published("reno/optimiser", "sgd", "[Rc] torch.optim.SGD"),
    Published("reno/weight_decay", 0.0, "[Rc] torch.optim.SGD's default"),
    Published("reno/regulariser", "chi", "[R] section 3; [Rc] reg_weight"),
    Published("reno/precondition", "none", "[R]: none"),
    Published("reno/starts", 1, "[R]: the starting noise"),
    Published("gper", (50, 0.1, 0.03, "adam", "none", "wgn"), "2602.08646, SDXL-Turbo"),
    Published("mpgr", (500, 0.9, True, 0.01, "mpgr"), "2509.07027"),
    Published("mpgr's weight of power", 25.0, "2509.07027"),
    Published("dno", (100, 0.01, 1.0, "adam", 0.01, "prno", 0.0), "2405.18881's code"),
    Published("dno's random orders", 100, "2405.18881's code"),
    Published("hybrid", (4, 0.01), "2405.18881's code"),
    Published("best-of-n/n", 50, "[H] section 4: the budget of ReNO"),
    Published("reno at sd-turbo", 5.0, "[R]: 5 for 512 pixels"),
    Published("reno at sdxl-turbo", 5.0, "[R]: 5 for 512 pixels"),
    Published("reno at sdxl-dmd2", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sdxl-dmd2-4step", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sdxl-lightning", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sdxl-hyper", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sdxl-hyper-lora", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sdxl-lcm", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sdxl-tcd", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at pixart-dmd", 5.0, "[R]: 5 for 512 pixels"),
    Published("reno at flux-schnell", 5.0, "[R]: 5 for 512 pixels"),
    Published("reno at sana-sprint-0.6b", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sana-sprint-1.6b", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at z-image-turbo", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at flux2-klein", 10.0, "[R]: 10 for 1024 pixels"),
    Published("reno at sd3.5-large-turbo", 10.0, "[R]: 10 for 1024 pixels"),
    # rewards
    Published("rewards of the presets", PREFERENCES, "[Rc] and [Hc] arguments.py"),
    Published("rewards of human-preference", PREFERENCES, "[Rc] and [Hc] arguments.py"),
    Published(
        "held out of the presets", ("aesthetic",), "ours: no method of [R], [H] is run on it"
    ),
    Published("CLIP's mean", OPENAI_MEAN, "Radford et al. 2103.00020; [Rc] rewards/utils.py"),
    Published("CLIP's deviation", OPENAI_STD, "Radford et al. 2103.00020; [Rc] rewards/utils.py"),
    Published("ImageReward's mean", 0.16717362830052426, "THUDM/ImageReward ImageReward.py"),
    Published("ImageReward's deviation", 1.0333394966054072, "THUDM/ImageReward ImageReward.py"),
    Published("ImageReward's tokens", 35, "THUDM/ImageReward ImageReward.py"),
    Published("HPSv2's architecture", "ViT-H-14", "tgxs002/HPSv2 img_score.py"),
    # generators
    Published("SANA-Sprint's guidance", 4.5, "diffusers' pipeline; [Hc] sana_inference.py"),
    Published("SANA-Sprint's tokens", 300, "diffusers' pipeline"),
    Published("SANA-Sprint's middle angle", 1.3, "diffusers' pipeline"),
    Published("SANA-Sprint's first time", 1.0, "[Hc] timestep of f"),
    Published("FLUX's first time", 1.0, "[Hc] timestep of f"),
    Published("FLUX's tokens", 512, "[Hc] encode_prompt's default"),
    Published("FLUX's size", 512, "[H] Table 4; [Hc] main.py"),
    Published("Z-Image's tokens", 512, "diffusers' pipeline"),
    Published("Z-Image's size", 1024, "diffusers' pipeline"),
    Published("FLUX.2's tokens", 512, "diffusers' pipeline"),
    Published("FLUX.2's size", 1024, "diffusers' pipeline"),
    Published("Stable Diffusion 3's tokens", 256, "diffusers' pipeline"),
    Published("PixArt-DMD's first timestep", 400, "PixArt-sigma app_pixart_dmd.py; [Rc]"),
    Published("sdxl-dmd2, sampled", ("LCMScheduler", [399], 0.0), "the model's card"),
    Published(
        "sdxl-dmd2-4step, sampled",
        ("LCMScheduler", [999, 749, 499, 249], 0.0),
        "the model's card",
    ),
    Published("sdxl-lightning, sampled", ("EulerDiscreteScheduler", None, 0.0), "the model's card"),
    Published("sdxl-hyper, sampled", ("LCMScheduler", [800], 0.0), "the model's card"),
    Published("sdxl-hyper-lora, sampled", ("TCDScheduler", None, 1.0), "the model's card"),
    Published("sdxl-lcm, sampled", ("LCMScheduler", None, 0.0), "the model's card"),
    Published("sdxl-tcd, sampled", ("TCDScheduler", None, 0.3), "the model's card"),
    Published("last layer of SD-Turbo", "conv_out", "[Hc] models/utils.py"),
    Published("last layer of SANA-Sprint", "proj_out", "[Hc] models/utils.py"),
    Published("last layer of FLUX", "proj_out", "[Hc] models/utils.py"),
    Published(
        "adapter of sana-sprint-0.6b",
        {"hypernoise": "lucaeyring/HyperNoise_Sana_Sprint_0.6B"},
        "[Hc] sana_inference.py",
    ),
    # prompts
    Published(
        "training categories of T2I-CompBench",
        ("color", "complex", "texture", "shape", "spatial", "non_spatial", "numeracy"),
        "[Hc] prompt_dataset.py",
    ),
    Published("PartiPrompts", 1632, "google-research/parti PartiPrompts.tsv"),
    Published("HPDv2 per style", 800, "zhwang/HPDv2 benchmark/"),
    Published("HPDv2's styles", ("anime", "concept-art", "paintings", "photo"), "hpsv2/utils.py"),
    Published("DPG-Bench", 1065, "TencentQQGYLab/ELLA dpg_bench/prompts"),
    Published("GenAI-Bench", 1600, "linzhiqiu/t2v_metrics genai_bench/generate.py"),
    # GenEval
    Published("GenEval's threshold", 0.3, "[G] evaluate_images.py:283"),
    Published("GenEval's counting threshold", 0.9, "[G] evaluate_images.py:284"),
    Published("GenEval's objects per class", 16, "[G] evaluate_images.py:285"),
    Published("GenEval's overlap", 1.0, "[G] evaluate_images.py:286: no NMS"),
    Published("GenEval's position threshold", 0.1, "[G] evaluate_images.py:287"),
    Published(
        "GenEval's prompts",
        {
            "single_object": 80,
            "two_object": 99,
            "counting": 80,
            "colors": 94,
            "position": 100,
            "color_attr": 100,
        },
        "[G] evaluation_metadata.jsonl, counted",
    ),
    Published("GenEval's images per prompt", 4, "[G] diffusers_generate.py"),
    Published(
        "GenEval's colours",
        (
            "red",
            "orange",
            "yellow",
            "green",
            "blue",
            "purple",
            "pink",
            "brown",
            "black",
            "white",
        ),
        "[G] evaluate_images.py:76",
    ),
    Published(
        "GenEval's colour prompts",
        (
            "a photo of a {colour} {name}",
            "a photo of a {colour}-colored {name}",
            "a photo of a {colour} object",
        ),
        "[G] evaluate_images.py",
    ),
    Published("GenEval's background", "#999", "[G] evaluate_images.py"),
    Published("GenEval's colour model", "ViT-L-14-quickgelu", "open_clip's name for openai's"),
    Published("GenEval's resize", (1333, 800), "mmdet 2.x mask2former_swin-s, test pipeline"),
    Published("GenEval's padding", 32, "mmdet 2.x mask2former_swin-s, test pipeline"),
    Published("GenEval's mean", (123.675, 116.28, 103.53), "mmdet 2.x, test pipeline"),
    Published("GenEval's deviation", (58.395, 57.12, 57.375), "mmdet 2.x, test pipeline"),
    Published("GenEval's detections", 100, "mmdet 2.x instance_postprocess"),
    # T2I-CompBench
    Published("T2I-CompBench's prompts per category", 300, "[T] *_val.txt, counted"),
    Published("T2I-CompBench's images per prompt", 10, "[T] inference_eval.py"),
    Published(
        "T2I-CompBench's complex prompts",
        {"spatial": 58, "action": 212, "spatialaction": 30},
        "[T] complex_val_*.txt, counted",
    ),
    Published("T2I-CompBench's phrases", 8, "[T] BLIP_vqa.py np_num"),
    Published(
        "T2I-CompBench's phrases not asked",
        {"top", "the side", "the left", "the right"},
        "[T] BLIP_vqa.py:36",
    ),
    Published("BLIP's yes and no", (2748, 2053), "[T] blip_vqa.py"),
    Published("BLIP's first tokens", (30523, 30522), "[T] blip_vqa.py; BLIP's tokenizer"),
    Published("BLIP's tokens and words", (35, 50), "[T] blip_vqa.py, data/utils.py"),
    Published("BLIP's size", 480, "[T] vqa.yaml image_size"),
    Published("T2I-CompBench's confidence", 0.5, "[T] generate_dataset.py"),
    Published("T2I-CompBench's frame", (479, 480), "[T] model_bank.py Resize(479, max_size=480)"),
    Published("T2I-CompBench's depth size", 480, "[T] model_bank.py"),
    Published("T2I-CompBench's near distance", 150, "[T] 2D_spatial_eval.py"),
    Published("T2I-CompBench's overlap", 0.1, "[T] 2D_spatial_eval.py"),
    Published("T2I-CompBench's least score", 0.5, "[T] 2D_spatial_eval.py"),
    Published("T2I-CompBench's overlap in depth", 0.5, "[T] 3D_spatial_eval.py"),
    Published("T2I-CompBench's same object", 0.9, "[T] numeracy_eval.py"),
    Published(
        "T2I-CompBench's numbers",
        {
            "a": 1,
            "an": 1,
            "one": 1,
            "two": 2,
            "three": 3,
            "four": 4,
            "five": 5,
            "six": 6,
            "seven": 7,
            "eight": 8,
        },
        "[T] numeracy_eval.py",
    ),
    Published(
        "T2I-CompBench's relations",
        (
            "on side of",
            "next to",
            "near",
            "on the left of",
            "on the right of",
            "on the bottom of",
            "on the top of",
            "on top of",
        ),
        "[T] 2D_spatial_eval.py:23",
    ),
    Published(
        "T2I-CompBench's relations in depth",
        ("in front of", "behind", "hidden"),
        "[T] 3D_spatial_eval.py",
    ),
    Published("T2I-CompBench's people", {"girl", "boy", "man", "woman"}, "[T] 2D_spatial_eval.py"),
    # measures
    Published("CMMD's bandwidth", 10.0, "Jayasumana et al. 2401.09603; cmmd-pytorch distance.py"),
    Published("CMMD's scale", 1000.0, "Jayasumana et al. 2401.09603; cmmd-pytorch distance.py"),
    Published("ImageNet's mean", IMAGENET_MEAN, "torchvision; dgm-eval dinov2.py"),
    Published("ImageNet's deviation", IMAGENET_STD, "torchvision; dgm-eval dinov2.py"),
    Published("LPIPS' shift", (-0.030, -0.088, -0.188), "PerceptualSimilarity lpips.py"),
    Published("LPIPS' scale", (0.458, 0.448, 0.450), "PerceptualSimilarity lpips.py"),
    Published("LPIPS' layers", (1, 4, 7, 9, 11), "PerceptualSimilarity pretrained_networks.py"),
    Published(
        "VQAScore's question",
        'Does this figure show "{}"? Please answer yes or no.',
        "Lin et al. 2404.01291; t2v_metrics clip_t5_model.py",
    ),
    Published("VQAScore's answer", "Yes", "Lin et al. 2404.01291"),
)
