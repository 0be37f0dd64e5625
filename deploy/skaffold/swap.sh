#!/bin/sh
# Builds the components whose files have changed, and swaps them into the hosts that run.
#
# Skaffold calls it with SKAFFOLD_FILES_ADDED_OR_MODIFIED and SKAFFOLD_FILES_DELETED, paths joined by semicolons. What all
# components are made of (their SDK, the events, the interfaces) has all of them swapped; a file that comes out as it
# was is not swapped by the host.
set -eu

changed=$(printf '%s;%s' "${SKAFFOLD_FILES_ADDED_OR_MODIFIED:-}" "${SKAFFOLD_FILES_DELETED:-}" | tr ';' '\n')
cd "$(dirname "$0")/../.."

names=''
for manifest in components/*/plugin.toml; do
    name=$(basename "$(dirname "$manifest")")
    if printf '%s\n' "$changed" | grep -qE "(^|/)(components/($name|sdk|events)|wit)/"; then
        names="$names $name"
    fi
done
[ -n "$names" ] || exit 0

cargo xtask build --components
for name in $names; do
    # The program in the container knows the host's address and token.
    kubectl --context "${SKAFFOLD_KUBE_CONTEXT:-}" --namespace "${TICKETING_NAMESPACE:-default}" \
        exec --stdin deployment/ticketing --container host -- \
        ticketing plugin push /dev/stdin --activate <"${CARGO_TARGET_DIR:-target}/components/$name.wasm"
done
