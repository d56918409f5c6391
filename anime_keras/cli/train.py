"""`train dcgan`, `train cyclegan`, `train vae` …: a model, its options, a run in a folder.

What every training can be told stands once, in `_every`; each model adds a function that takes its own
options and returns the arguments of its `__init__` and of its `compile`.
"""

import inspect
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import numpy as np
import typer

from anime_keras.cli.shared import Seed, attempt, console, fail, given, pictures, shown

app = typer.Typer(help="Train a model into a run folder.", no_args_is_help=True)

Own = tuple[dict[str, Any], dict[str, Any]]  # arguments of a model's __init__, and of its compile


# --- what every training can be told --------------------------------------------------------------


def _every(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    data: Annotated[
        str, typer.Option(help="'rendered', or a folder of pictures, prepared or not.")
    ] = "rendered",
    x: Annotated[
        str, typer.Option(help="'portraits', 'anime' (both drawn), or a folder, prepared or not.")
    ] = "portraits",
    y: Annotated[str, typer.Option(help="The same of what they become.")] = "anime",
    count: Annotated[
        int | None,
        typer.Option(help="How many faces to draw (10,000), or pictures of a folder at most."),
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the pictures in pixels.")] = 64,
    epochs: Annotated[int | None, typer.Option(help="Stop after so many.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so much training time.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    batch_size: Annotated[int, typer.Option(help="Pictures (of each kind) a step.")] = 64,
    accumulate: Annotated[int, typer.Option(help="Average gradients over so many batches.")] = 1,
    devices: Annotated[
        str, typer.Option(help="How many share a batch, or 'all'; not on PyTorch.")
    ] = "1",
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="One of several processes that train together (docs/scaling.md): on all devices.",
        ),
    ] = False,
    flip: Annotated[bool, typer.Option("--flip", help="Mirror pictures at random.")] = False,
    precision: Annotated[str, typer.Option(help="auto, float32 or mixed_bfloat16.")] = "auto",
    deterministic: Annotated[bool, typer.Option("--deterministic", help="Bit-exact.")] = False,
    checkpoint_minutes: Annotated[float, typer.Option(help="At most so long between two.")] = 5.0,
    score_every: Annotated[
        int, typer.Option(min=0, help="Measure FID and KID every so many epochs; 0 never.")
    ] = 0,
    begin: Annotated[
        str | None,
        typer.Option(
            help="Begin with the weights of this run, or model of the kit (see `models`)."
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Stands for its signature alone."""


def trains(model: str, translates: bool = False, **defaults: Any) -> Callable:
    """Make `train MODEL` of a function that takes a model's own options.

    Args:
        model: its name in `runs.MODELS`.
        translates: it takes pictures of --x and --y, not of --data.
        **defaults: of shared options, where this model's differ.
    """
    absent = ("data",) if translates else ("x", "y")
    shared = [
        parameter.replace(default=defaults.get(name, parameter.default))
        for name, parameter in inspect.signature(_every).parameters.items()
        if name not in absent
    ]

    def register(own: Callable[..., Own]) -> Callable[..., Own]:
        mine = inspect.signature(own).parameters
        for parameter in mine.values():
            get_args(parameter.annotation)[1].rich_help_panel = "Of this model"

        def command(context: typer.Context, **options: Any) -> None:
            chosen = {name: options.pop(name) for name in mine}
            _train(context, model, own(**chosen), **options)

        command.__doc__ = own.__doc__
        command.__signature__ = inspect.Signature(
            [p.replace(kind=p.KEYWORD_ONLY) for p in (*shared, *mine.values())]
        )
        app.command(model)(command)
        return own

    return register


def _train(
    context: typer.Context,
    model: str,
    own: Own,
    out: Path,
    resume: bool,
    accumulate: int,
    devices: str,
    cluster: bool,
    data: str | None = None,
    x: str | None = None,
    **settings: Any,
) -> None:
    """Begin the run that the options describe, or go on with it, and train."""
    from anime_keras import replicas
    from anime_keras.runs import Run, Settings

    if cluster:
        attempt(replicas.join_cluster)
        devices = "all"
        console.quiet = replicas.place()[0] > 0  # the chief speaks
    if resume:
        more = {"epochs": settings["epochs"], "minutes": settings["minutes"]}
        if cluster or context.get_parameter_source("devices").name == "COMMANDLINE":
            more["devices"] = _devices(devices)
        run = _resumed(context, out, **more)
    else:
        network, rules = own
        rules["accumulate"] = accumulate
        if "attributes" in network:
            network |= _words(network["attributes"], data, settings["count"], settings["seed"])
        settings |= {"network": network, "rules": rules, "devices": _devices(devices)}
        chosen = Settings(model=model, data=data or x, **settings)
        run = attempt(Run.create, out, chosen)
    train_run(run, pictures(run.settings))


# --- the models -----------------------------------------------------------------------------------

# What several models can be told, each with a default of its own.
Width = Annotated[int, typer.Option(help="Channels next to the picture.")]
BothRates = Annotated[float, typer.Option(help="Adam's, of both players.")]
OtherRate = Annotated[float | None, typer.Option(help="Where it should differ.")]
Decay = Annotated[
    str, typer.Option(help="Of the learning rate: constant, linear or cosine; needs --epochs.")
]
Momentum = Annotated[float, typer.Option(help="Adam's momentum.")]
Smoothing = Annotated[float, typer.Option(help="Real pictures get 1 - this.")]
R1 = Annotated[float, typer.Option(help="Gamma of the R1 penalty.")]
SpectralNorm = Annotated[bool, typer.Option("--spectral-norm", help="In D.")]
Augmentation = Annotated[
    str, typer.Option(help="What D sees is changed by: color,translation,cutout.")
]
Average = Annotated[float, typer.Option(help="Decay of the averaged generator; 0 for none.")]
CodeNumbers = Annotated[int, typer.Option(help="Numbers that a code has.")]
KLWeight = Annotated[float, typer.Option(help="Weight of the KL term.")]


@trains("dcgan")
def dcgan(
    latent_dim: Annotated[int, typer.Option(help="Numbers that a picture is made from.")] = 100,
    width: Width = 64,
    loss: Annotated[
        str,
        typer.Option(
            help="non_saturating, minimax, least_squares, hinge, wasserstein or relativistic."
        ),
    ] = "non_saturating",
    learning_rate: BothRates = 2e-4,
    discriminator_learning_rate: OtherRate = None,
    decay: Decay = "constant",
    beta_1: Momentum = 0.5,
    label_smoothing: Smoothing = 0.0,
    r1: R1 = 0.0,
    gradient_penalty: Annotated[
        float | None, typer.Option(help="Weight; 10 by default with wasserstein, else 0.")
    ] = None,
    feature_matching: Annotated[float, typer.Option(help="Weight.")] = 0.0,
    content: Annotated[float, typer.Option(help="Weight of the L2 loss on pixels.")] = 0.0,
    normalization: Annotated[
        str | None, typer.Option(help="Of the discriminator: batch, layer or none.")
    ] = None,
    spectral_norm: SpectralNorm = False,
    augmentation: Augmentation = "",
    ema: Average = 0.99,
) -> Own:
    """Train a DCGAN: pictures from noise.

    Examples:
    `python -m anime_keras train dcgan --epochs 20 --out runs/first`

    `python -m anime_keras train dcgan --data my_pictures --minutes 60 --flip --out runs/mine`

    `python -m anime_keras train dcgan --resume --out runs/mine`
    """
    # A gradient penalty looks at each picture by itself, and BatchNorm does not.
    needs_own = loss == "wasserstein" or bool(gradient_penalty)
    network = {
        "latent_dim": latent_dim,
        "width": width,
        "normalization": normalization or ("layer" if needs_own else "batch"),
        "spectral_norm": spectral_norm,
        "augmentation": [name for name in augmentation.split(",") if name],
        "ema": ema,
    }
    rules = {
        "loss": loss,
        "learning_rate": learning_rate,
        "discriminator_learning_rate": discriminator_learning_rate,
        "beta_1": beta_1,
        "label_smoothing": label_smoothing,
        "gradient_penalty": gradient_penalty,
        "r1": r1,
        "feature_matching": feature_matching,
        "content": content,
        "decay": decay,
    }
    return network, rules


@trains("cyclegan", translates=True, size=128, batch_size=1)
def cyclegan(
    width: Width = 64,
    blocks: Annotated[
        int | None, typer.Option(help="Residual blocks; 9 from 256 px on, 6 below by default.")
    ] = None,
    loss: Annotated[str, typer.Option(help="least_squares or cross_entropy.")] = "least_squares",
    cycle: Annotated[float, typer.Option(help="Lambda, the weight of the cycle loss.")] = 10.0,
    identity: Annotated[
        float, typer.Option(help="Weight of the identity loss as a share of lambda; 0 for none.")
    ] = 0.5,
    cycle_noise: Annotated[
        float, typer.Option(help="Noise on translated pictures before they go back.")
    ] = 0.0,
    learning_rate: Annotated[float, typer.Option(help="Adam's, of all four networks.")] = 2e-4,
    decay: Annotated[
        str, typer.Option(help="Constant, or linear over the second half; needs --epochs.")
    ] = "constant",
    beta_1: Momentum = 0.5,
    history: Annotated[
        int, typer.Option(min=0, help="Generated pictures that a discriminator remembers.")
    ] = 50,
    ema: Annotated[
        float, typer.Option(help="Decay of averaged generators; 0 for none, as in the paper.")
    ] = 0.0,
) -> Own:
    """Train a CycleGAN: pictures of X become pictures of Y and come back, without pairs.

    Examples:
    `python -m anime_keras train cyclegan --size 64 --width 32 --minutes 60 --out runs/faces`

    `python -m anime_keras train cyclegan --x photos --y drawings --epochs 200 --out runs/mine`

    `python -m anime_keras train cyclegan --resume --out runs/mine`
    """
    network = {
        "width": width,
        "residual_blocks": blocks,
        "history": history,
        "ema": ema,
    }
    rules = {
        "loss": loss,
        "cycle": cycle,
        "identity": identity,
        "cycle_noise": cycle_noise,
        "learning_rate": learning_rate,
        "beta_1": beta_1,
        "decay": decay,
    }
    return network, rules


@trains("stylegan2", batch_size=16)
def stylegan2(
    latent_dim: Annotated[int, typer.Option(help="Numbers of a latent and of a style.")] = 128,
    mapping_layers: Annotated[int, typer.Option(help="From latents to styles.")] = 2,
    fmaps: Annotated[
        float,
        typer.Option(help="Channels at a size are 32768 times this / size; 0.5 in the paper."),
    ] = 1 / 32,
    max_channels: Annotated[int, typer.Option(help="At most so many; 512 in the paper.")] = 128,
    ema: Annotated[
        float | None,
        typer.Option(help="Half-life of the averaged generator in thousands of pictures."),
    ] = None,
    learning_rate: BothRates = 0.0025,
    r1: Annotated[
        float | None, typer.Option(help="Gamma; 0.0002 size^2 / batch size if not said.")
    ] = None,
    path_length: Annotated[float, typer.Option(help="Weight of G's penalty.")] = 2.0,
    style_mixing: Annotated[float, typer.Option(help="Share of pictures of two styles.")] = 0.9,
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Added in G; drawings do better without.")
    ] = True,
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Augment as overfitting asks for: for few pictures.")
    ] = False,
    freeze: Annotated[int, typer.Option(help="First blocks of D that stay as they are.")] = 0,
) -> Own:
    """Train a StyleGAN2: pictures from styles. The defaults suit 64 px on a laptop.

    Examples:
    `python -m anime_keras train stylegan2 --minutes 60 --out runs/styles`

    `python -m anime_keras train stylegan2 --data my_pictures --minutes 600 --fmaps 0.5 --out runs/mine`

    `python -m anime_keras train stylegan2 --resume --out runs/styles`
    """
    network = {
        "latent_dim": latent_dim,
        "mapping_layers": mapping_layers,
        "fmaps": fmaps,
        "max_channels": max_channels,
        "ema": ema,
        "noise": noise,
        "adaptive": adaptive,
    }
    rules = {
        "learning_rate": learning_rate,
        "r1": r1,
        "path_length": path_length,
        "style_mixing": style_mixing,
        "freeze": freeze,
    }
    return network, rules


@trains("animegan", translates=True, size=256, batch_size=12)
def animegan(
    width: Width = 32,
    features: Annotated[
        str, typer.Option(help="What tells the content: kit (drawn faces) or vgg19 (photos).")
    ] = "kit",
    halvings: Annotated[
        int, typer.Option(help="Of the discriminator: 2 (patches of 37 px), or 1 (17) for 64 px.")
    ] = 2,
    content: Annotated[
        float, typer.Option(help="Weight of the content loss; the kit's features take more.")
    ] = 1.5,
    style: Annotated[
        float, typer.Option(help="Weight of the grey style loss; the kit's features take more.")
    ] = 2.5,
    color: Annotated[float, typer.Option(help="Weight of the loss of colours.")] = 15.0,
    total_variation: Annotated[float, typer.Option(help="Weight.")] = 1.0,
    adversarial: Annotated[
        float, typer.Option(help="Weight of the players' own losses; short trainings take a tenth.")
    ] = 300.0,
    first_steps: Annotated[
        int, typer.Option(min=0, help="Of the content loss alone, before the game begins.")
    ] = 5546,
    first_learning_rate: Annotated[float, typer.Option(help="Adam's, meanwhile.")] = 2e-4,
    first_pixels: Annotated[
        float, typer.Option(help="Weight of the pixels' L1, meanwhile; 0 in the paper.")
    ] = 0.0,
    learning_rate: Annotated[float, typer.Option(help="Adam's, of the generator.")] = 2e-5,
    discriminator_learning_rate: Annotated[float, typer.Option(help="Of the other.")] = 4e-5,
    decay: Annotated[
        str, typer.Option(help="Of both rates: constant, linear or cosine; needs --epochs.")
    ] = "constant",
    beta_1: Momentum = 0.5,
    ema: Annotated[
        float, typer.Option(help="Decay of the averaged generator; 0 for none, as in the paper.")
    ] = 0.0,
) -> Own:
    """Train an AnimeGAN: pictures of X are drawn in the manner of Y, with no way back.

    Examples:
    `python -m anime_keras train animegan --x photos --y film_stills --epochs 101 --out runs/film`

    `python -m anime_keras train animegan --size 64 --width 16 --halvings 1 --batch-size 8 --first-steps
    2500 --first-learning-rate 0.0005 --first-pixels 200 --content 20 --style 20 --color 150
    --total-variation 5 --adversarial 10 --learning-rate 0.0002 --discriminator-learning-rate 0.0001
    --ema 0.995 --decay cosine --epochs 10 --out runs/small` (the kit's own, 48 minutes on one core)

    `python -m anime_keras train animegan --resume --out runs/film`
    """
    network = {"width": width, "features": features, "halvings": halvings, "ema": ema}
    rules = {
        "content": content,
        "style": style,
        "color": color,
        "total_variation": total_variation,
        "adversarial": adversarial,
        "first_steps": first_steps,
        "first_learning_rate": first_learning_rate,
        "first_pixels": first_pixels,
        "learning_rate": learning_rate,
        "discriminator_learning_rate": discriminator_learning_rate,
        "decay": decay,
        "beta_1": beta_1,
    }
    return network, rules


@trains("vae")
def vae(
    latent_dim: CodeNumbers = 64,
    width: Width = 32,
    likelihood: Annotated[
        str,
        typer.Option(
            help="Of a pixel: gaussian or bernoulli; perceptual: gaussian, and of what a frozen "
            "network sees."
        ),
    ] = "gaussian",
    sigma: Annotated[
        float | None,
        typer.Option(help="Of the gaussian, from -1 to 1; follows the error if not said."),
    ] = None,
    beta: KLWeight = 1.0,
    free_bits: Annotated[
        float, typer.Option(help="Nats that each number of a code has for nothing.")
    ] = 0.0,
    perceptual: Annotated[
        float, typer.Option(help="What the network sees, beside pixels; with perceptual.")
    ] = 1.0,
    learning_rate: Annotated[float, typer.Option(help="Adam's.")] = 1e-3,
    decay: Decay = "constant",
) -> Own:
    """Train a VAE: pictures from codes, and codes from pictures.

    Examples:
    `python -m anime_keras train vae --minutes 5 --out runs/codes`

    `python -m anime_keras train vae --likelihood perceptual --beta 5 --minutes 30 --out runs/sharp`

    `python -m anime_keras train vae --resume --out runs/mine`
    """
    network = {
        "latent_dim": latent_dim,
        "width": width,
        "likelihood": likelihood,
        "sigma": sigma,
    }
    rules = {
        "beta": beta,
        "free_bits": free_bits,
        "perceptual": perceptual,
        "learning_rate": learning_rate,
        "decay": decay,
    }
    return network, rules


@trains("vae-gan")
def vae_gan(
    latent_dim: CodeNumbers = 64,
    width: Width = 32,
    gamma: Annotated[
        float, typer.Option(help="The decoder's weight of likeness, beside the game.")
    ] = 1e-3,
    beta: KLWeight = 1.0,
    learning_rate: Annotated[float, typer.Option(help="Adam's, of all three.")] = 3e-4,
    beta_1: Momentum = 0.5,
    decay: Decay = "constant",
) -> Own:
    """Train a VAE-GAN: a VAE that a discriminator compares, and whose decoder it judges.

    Examples:
    `python -m anime_keras train vae-gan --minutes 30 --out runs/game`

    `python -m anime_keras train vae-gan --resume --out runs/game`
    """
    network = {"latent_dim": latent_dim, "width": width}
    rules = {
        "gamma": gamma,
        "beta": beta,
        "learning_rate": learning_rate,
        "beta_1": beta_1,
        "decay": decay,
    }
    return network, rules


@trains("conditional")
def conditional(
    attributes: Annotated[
        str, typer.Option(help="What it can be asked for: labels that the pictures have.")
    ] = "hair_color,expression",
    conditioning: Annotated[
        str, typer.Option(help="How D is told words: projection, ac or both.")
    ] = "projection",
    classification: Annotated[
        float, typer.Option(help="Weight of the class loss; ac, both.")
    ] = 1.0,
    classify_fakes: Annotated[
        bool, typer.Option(help="Whether the classifier learns from generated pictures, too.")
    ] = True,
    latent_dim: Annotated[
        int, typer.Option(help="Numbers that a picture is made from, beside the words.")
    ] = 100,
    width: Width = 64,
    loss: Annotated[
        str,
        typer.Option(help="non_saturating, minimax, least_squares, hinge or relativistic."),
    ] = "non_saturating",
    learning_rate: BothRates = 2e-4,
    discriminator_learning_rate: OtherRate = None,
    decay: Decay = "constant",
    beta_1: Momentum = 0.5,
    label_smoothing: Smoothing = 0.0,
    r1: R1 = 0.0,
    normalization: Annotated[
        str, typer.Option(help="Of the discriminator: batch, layer or none.")
    ] = "batch",
    spectral_norm: SpectralNorm = False,
    augmentation: Augmentation = "",
    ema: Average = 0.99,
) -> Own:
    """Train a conditional DCGAN: pictures from noise, of what was asked for.

    Drawn faces have all labels. `data prepare` keeps those that come with pictures; where one is
    missing, the picture is learned from all the same.

    Examples:
    `python -m anime_keras train conditional --minutes 15 --out runs/words`

    `python -m anime_keras train conditional --data mine --attributes eye_color --epochs 9 --out a`

    `python -m anime_keras train conditional --resume --out runs/words`
    """
    network = {
        "attributes": [name.strip() for name in attributes.split(",") if name.strip()],
        "conditioning": conditioning,
        "latent_dim": latent_dim,
        "width": width,
        "normalization": normalization,
        "spectral_norm": spectral_norm,
        "augmentation": [name for name in augmentation.split(",") if name],
        "ema": ema,
    }
    rules = {
        "loss": loss,
        "classification": classification,
        "classify_fakes": classify_fakes,
        "learning_rate": learning_rate,
        "discriminator_learning_rate": discriminator_learning_rate,
        "beta_1": beta_1,
        "label_smoothing": label_smoothing,
        "r1": r1,
        "decay": decay,
    }
    return network, rules


def _words(chosen: list[str], data: str, count: int | None, seed: int) -> dict[str, Any]:
    """The words of attributes and their shares in the training pictures; says what is missing."""
    from anime_keras.data import collections

    labels, names = attempt(collections.known_labels, data, count, seed)
    attributes, shares = {}, {}
    for name in chosen:
        if name not in labels:
            fail(f"There are no labels {name!r}: choose from {', '.join(labels)}.")
        counts = np.bincount(labels[name][labels[name] >= 0], minlength=len(names[name]))
        if not counts.any():
            fail(f"No picture has a label {name}: choose from {', '.join(labels)}.")
        attributes[name] = list(names[name])
        shares[name] = (counts / counts.sum()).tolist()
        total = len(labels[name])
        console.print(
            f"{name}: {len(counts)} words, missing from {total - counts.sum():,} of {total:,} pictures."
        )
    return {"attributes": attributes, "shares": shares}


# --- running one ----------------------------------------------------------------------------------


def train_run(run: Any, images: Any) -> bool:
    """Train a run; say in the end what there is to see, or how to go on. True if it was not stopped."""
    try:
        position = run.train(images, progress=True)
    except (FloatingPointError, RuntimeError, ValueError) as error:
        _fail(str(error))
    folder = shown(run.folder)
    if run.settings.translates:
        more = f"Your own: python -m anime_keras translate --run {folder} --input photo.jpg --out faces"
    else:
        more = f"More faces:  python -m anime_keras generate --run {folder} --seed 1 --out more.png"
    if position.stopped == "interrupt":
        console.print(
            f"\nStopped after step {position.step}, and saved. Go on with:\n"
            f"   python -m anime_keras train {run.settings.model} --resume --out {folder}"
        )
    console.print(f"\nThe report, with the faces: {shown(run.folder / 'report.html')}\n{more}")
    return position.stopped != "interrupt"


def _fail(message: str) -> None:
    """Say what is wrong, and end; in a cluster at once, or JAX would wait minutes for the others."""
    from anime_keras import replicas

    try:
        fail(message)
    finally:
        if replicas.place()[1] > 1:
            sys.stdout.flush()
            os._exit(1)


def _devices(wanted: str) -> int:
    """How many devices a number, or "all", is."""
    from anime_keras import replicas

    if wanted == "all":
        return len(replicas.devices_here())
    if not wanted.isdigit() or wanted == "0":
        fail(f"--devices must be a number from 1 on, or all, not {wanted!r}.")
    return int(wanted)


def _resumed(context: typer.Context, out: Path, **more: Any) -> Any:
    """The run in a folder, opened to go on with what it began as."""
    from anime_keras.runs import Run

    _refuse_changes(
        context, except_for=("resume", "out", "epochs", "minutes", "devices", "cluster")
    )
    model = attempt(Run.open, out).settings.model
    if model != context.info_name:
        fail(f"The run in {out} is a {model}: python -m anime_keras train {model} --resume …")
    console.print(f"Resuming the run in {shown(out)}.")
    return attempt(Run.open, out, **given(**more))


def _refuse_changes(context: typer.Context, except_for: tuple[str, ...]) -> None:
    """What was chosen when a run began stays: an option that had no effect would mislead."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in except_for and source is not None and source.name == "COMMANDLINE":
            fail(
                f"--{name.replace('_', '-')} cannot be changed with --resume, only --epochs, "
                "--minutes and --devices can. Begin another run for it."
            )
