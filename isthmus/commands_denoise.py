"""What ``isthmus denoise`` does: pictures in, pictures of the same names out."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from isthmus.checks import counted, listed
from isthmus.commands import line, say_next, size_of
from isthmus.commands_data import with_article
from isthmus.data import read_image, read_images_of_any_size, write_image, write_table
from isthmus.data.images import image_files
from isthmus.data.paths import path_source
from isthmus.data.pictures import FORMATS
from isthmus.errors import DataWarning, InputError
from isthmus.estimators.denoiser import Denoiser
from isthmus.estimators.files import load
from isthmus.outputs import check_folder


def fit(data: str, noisy: str | None, output: str, settings: dict[str, Any], skip: bool) -> None:
    """Fit, save, and say how it went."""
    clean, names = read(data, skip)
    model, replaced = Denoiser(**settings), Path(output).exists()
    if noisy is None:
        model.fit(clean)
    else:
        shown, others = read(noisy, skip)
        clean, shown = twins(clean, names, shown, others, data, noisy)
        model.fit(shown, clean)
    model.save(output)
    if settings["verbose"]:
        record = model.autoencoder_.record_
        if record is not None:
            line("trained on", f"{record.train_rows:,} rows or patches, {record.held_out_rows:,} held out")
            line("training", record.stopped)
        line("written", f"{output} ({size_of(output, replaced)})")
        say_next(["denoise", "apply", output, "noisy/", "-o", "cleaned/"])


def read(path: str, skip: bool) -> tuple[Any, list[str] | None]:
    """Images with their names, or an array or a table without."""
    if Path(path).is_dir() or Path(path).suffix.lower() in FORMATS:
        images, names = read_images_of_any_size(path, skip=skip)
        warn_of_passed_over(Path(path))
        same = len({(image.shape, image.dtype.name) for image in images}) == 1
        return (np.stack(images) if same else images), names
    return path_source(Path(path).expanduser(), path, None), None


def twins(
    clean: Any, names: list[str] | None, noisy: Any, others: list[str] | None, data: str, path: str
) -> tuple[Any, Any]:
    """Clean and noisy images of the same names, whatever their endings; arrays as they are."""
    if names is None or others is None:
        return clean, noisy
    places = {stem(name): i for i, name in enumerate(others)}
    lonely = [name for name in names if stem(name) not in places]
    if lonely:
        raise InputError(f"--noisy: {path!r} has no twin of {listed(lonely, 3)} in {data!r}: names must be alike")
    return list(clean), [noisy[places[stem(name)]] for name in names]


def stem(name: str) -> str:
    return name[: -len(Path(name).suffix)] if Path(name).suffix else name


def apply(model_path: str, data: str, output: str, skip: bool, quiet: bool) -> None:
    """Clean a folder of images, one image, or an array."""
    model = load(model_path)
    if not isinstance(model, Denoiser):
        held = with_article(type(model).__name__)
        raise InputError(f"{model_path!r} holds {held}, not a Denoiser; isthmus denoise fit makes one")
    if Path(data).is_dir():
        apply_to_folder(model, Path(data), Path(output), skip, quiet)
        return
    replaced = Path(output).exists()
    if Path(data).suffix.lower() in FORMATS:
        write_image(output, cleaned(model, read_image(data, "keep"), data))
    else:
        given, _ = read(data, skip)
        write_table(output, model.transform(given), getattr(given, "names", None))
    if not quiet:
        print(f"{output}: cleaned ({size_of(output, replaced)})")


def apply_to_folder(model: Denoiser, folder: Path, output: Path, skip: bool, quiet: bool) -> None:
    """Every image of a folder, under its name in another."""
    if output.exists() and output.samefile(folder):
        raise InputError(f"-o: {str(output)!r} is the folder that is read; choose another, so that nothing is lost")
    if output.resolve().is_relative_to(folder.resolve()):
        raise InputError(
            f"-o: {str(output)!r} lies in the folder that is read, so that a second run would clean what the first "
            "has written; choose a folder beside it"
        )
    files = image_files(folder)
    targets = {file: output / file.relative_to(folder) for file in files}
    if lost := [str(target) for target in targets.values() if target.resolve().is_relative_to(folder.resolve())]:
        raise InputError(f"-o: {listed(lost, 3)} would be written in the folder that is read; choose another folder")
    if not files:
        raise InputError(f"{str(folder)!r} has no images")
    if not skip:
        for file in files:
            read_image(file, "keep")  # so that a bad one is told of before anything is written
    check_folder("-o", str(output))
    warn_of_passed_over(folder)
    skipped, replaced = [], 0
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            image = read_image(file, "keep")
            result = cleaned(model, image, str(file))
        except InputError as error:
            if not skip:
                raise
            skipped.append(f"{name!r} ({str(error).removeprefix(f'{str(file)!r} ')})")
            continue
        targets[file].parent.mkdir(parents=True, exist_ok=True)
        replaced += targets[file].exists()
        write_image(targets[file], result)
    if skipped:
        more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        said = f"{counted(len(skipped), 'image')} left out: {', '.join(skipped[:3])}{more}"
        warnings.warn(f"{str(folder)!r}: {said}", DataWarning, stacklevel=2)
    if len(skipped) == len(files):
        raise InputError(f"{str(folder)!r}: not one of its {counted(len(files), 'image')} could be cleaned")
    if not quiet:
        instead = f" ({replaced:,} of the same name replaced)" if replaced else ""
        print(f"{output}: {counted(len(files) - len(skipped), 'image')} cleaned{instead}")


def warn_of_passed_over(folder: Path) -> None:
    """Tell of files in a folder that are of no kind that is read."""
    if not folder.is_dir():
        return
    known = set(image_files(folder))
    others = [p for p in folder.rglob("*") if p.is_file() and p not in known and not p.name.startswith(".")]
    if others:
        endings = listed(sorted({path.suffix.lower() or path.name for path in others}), 5)
        said = f"{counted(len(others), 'file')} passed over, of kinds that are not read: {endings}"
        warnings.warn(f"{str(folder)!r}: {said}", DataWarning, stacklevel=2)


def cleaned(model: Denoiser, image: np.ndarray, name: str) -> np.ndarray:
    """One picture without its noise; its transparency stays as it is.

    A denoiser of grey pictures cleans the channels of colour one by one; one of colour is shown grey as colour.
    """
    if len(model.axes_) - (model.channels_ is not None) != 2 or model.channels_ not in (None, 1, 3):
        raise InputError(f"{name!r} is a picture, but this denoiser was fitted on data with the axes {model.axes_}")
    deep = image if image.ndim == 3 else image[..., None]
    colours = deep.shape[2] - (deep.shape[2] % 2 == 0)  # the last of 2 or 4 is transparency
    shown = deep[..., :colours]
    if model.channels_ == 3:
        whole = model.transform(np.repeat(shown, 3 // colours, axis=2))
        result = whole if colours == 3 else whole.mean(axis=2, keepdims=True).round().astype(image.dtype)
    else:
        grey = np.ascontiguousarray(shown.transpose(2, 0, 1))
        grey = grey if model.channels_ is None else grey[..., None]
        result = model.transform(grey).reshape(colours, *image.shape[:2]).transpose(1, 2, 0)
    return np.concatenate((result, deep[..., colours:]), axis=2).reshape(image.shape)
