"""The program under test, built once."""

import os
import pathlib
import subprocess

import pytest

from host import Embedding

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def program():
    """The path of the guest for wasm32-wasip1; READINESS_GUEST names one that is there."""
    if path := os.environ.get("READINESS_GUEST"):
        return path
    build = [ROOT / "scripts/cargo-for", "wasm32-wasip1", "build", "--release", "-q", "-p", "wasi-guest"]
    subprocess.run(build, cwd=ROOT, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    return str(ROOT / target / "wasm32-wasip1/release/wasi-guest.wasm")


@pytest.fixture(scope="session")
def component():
    """The same as a WASI 0.2 component."""
    build = [ROOT / "scripts/cargo-for", "wasm32-wasip1", "build", "--release", "-q", "-p", "wasi-guest"]
    env = {**os.environ, "READINESS_COMPONENT": "1"}
    subprocess.run([*build, "--features", "wasi-io"], cwd=ROOT, env=env, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target/component")
    return str(ROOT / target / "wasm32-wasip1/release/wasi-guest.wasm")


@pytest.fixture(scope="session")
def embedding(program):
    return Embedding(program)
