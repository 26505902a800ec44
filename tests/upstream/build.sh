#!/usr/bin/env bash
# Builds upstream's own programs into CACHE/bin from the Go module proxy, each once, at low priority:
#     build.sh CACHE PROGRAM...
# Programs: e2e.test, ginkgo, fakecri, etcd, python (a virtual environment with the clients), oras, oci-conformance (the judge of
# registries), and any command of k8s.io/kubernetes.
set -euo pipefail
KUBERNETES=1.36.3 ETCD=v3.6.16 PYTHON=37.0.2 VALIDATE=1.37.0
ORAS=v1.3.6 DISTRIBUTION=v0.0.0-20260831232431-97274622c111

cache=$1 && shift
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$cache/bin"
export CGO_ENABLED=0 GOFLAGS=-mod=mod GOWORK=off

# Kubernetes' own list of modules, its staging folders mapped to their published copies, as a module to build in.
kubernetes() {
    local module=$cache/src/kubernetes-$KUBERNETES
    mkdir -p "$module" && cd "$module"
    if [ ! -e ready ]; then
        upstream=$(GOFLAGS= go mod download -json "k8s.io/kubernetes@v$KUBERNETES" | sed -n 's/^\t"Dir": "\(.*\)".*/\1/p')
        sed -e "s|^module .*|module sampan.test/upstream|" \
            -e "s|=> ./staging/src/\(k8s.io/.*\)|=> \1 v0${KUBERNETES#1}|" \
            -e "0,/^require (/s|^require (|&\n\tk8s.io/kubernetes v$KUBERNETES|" "$upstream/go.mod" >go.mod
        install -m 0644 "$upstream/go.sum" go.sum
        touch ready
    fi
    cp -r "$here/fakecri" .
}

# compile PACKAGE [VERB]: with the version where Kubernetes' programs look for it.
compile() {
    local ldflags="-s -w" at
    for at in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
        ldflags+=" -X $at.gitVersion=v$KUBERNETES -X $at.gitMajor=1 -X $at.gitMinor=36"
    done
    nice -n 10 go "${@:2}" -p "${GO_JOBS:-2}" -trimpath -ldflags "$ldflags" -o "$out" "$1"
}

for program in "$@"; do
    version="Kubernetes $KUBERNETES, etcd $ETCD, Python clients $PYTHON and $VALIDATE"
    case $program in
    oras) version=$ORAS ;;
    oci-conformance) version=$DISTRIBUTION ;;
    esac
    out=$cache/bin/$program
    [ -e "$out" ] && [ "$(cat "$out.version" 2>/dev/null)" = "$version" ] && continue
    echo "building $program ($(date +%T))"
    (
        case $program in
        etcd)
            mkdir -p "$cache/src/etcd" && cd "$cache/src/etcd"
            printf 'module sampan.test/etcd\n\ngo 1.26\n\nrequire go.etcd.io/etcd/server/v3 %s\n' "$ETCD" >go.mod
            compile go.etcd.io/etcd/server/v3 build
            ;;
        python)
            python3 -m venv "$cache/python"
            "$cache/python/bin/pip" install -q "kubernetes==$PYTHON" "kubernetes-validate==$VALIDATE"
            printf '#!/bin/sh\nexec "%s" "$@"\n' "$cache/python/bin/python" >"$out"
            chmod +x "$out"
            ;;
        oras) GOBIN=$cache/bin nice -n 10 go install -trimpath -ldflags "-s -w" "oras.land/oras/cmd/oras@$ORAS" ;;
        oci-conformance)
            GOBIN=$cache/src/bin nice -n 10 go install -trimpath -ldflags "-s -w" \
                "github.com/opencontainers/distribution-spec/conformance@$DISTRIBUTION"
            mv "$cache/src/bin/conformance" "$out"
            ;;
        e2e.test) kubernetes && compile k8s.io/kubernetes/test/e2e test -c ;;
        ginkgo) kubernetes && compile github.com/onsi/ginkgo/v2/ginkgo build ;;
        fakecri) kubernetes && compile ./fakecri build ;;
        *) kubernetes && compile "k8s.io/kubernetes/cmd/$program" build ;;
        esac
    )
    echo "$version" >"$out.version"
done
