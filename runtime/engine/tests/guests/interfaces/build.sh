#!/bin/sh
# Builds the guests and puts their modules beside this folder. `rustup target add wasm32-wasip2` once before.
set -eu
cd "$(dirname "$0")"
# Panics name their places in crates; where those lie on this machine is nobody's business.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry/src=/crates"
cargo build --locked --release --target wasm32-wasip2
built=${CARGO_TARGET_DIR:-target}/wasm32-wasip2/release
install -m 0644 "$built/interfaces-p2.wasm" ../interfaces-p2.wasm
for guest in p2-handler p3 p3-handler; do
    install -m 0644 "$built/interfaces_$(echo $guest | tr - _).wasm" "../interfaces-$guest.wasm"
done
../../../../../samples/neutral.sh ../interfaces-*.wasm
