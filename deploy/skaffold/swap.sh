#!/bin/sh
# Builds the components whose files have changed, and swaps them into the running hosts.
#
# Skaffold calls it with SKAFFOLD_FILES_ADDED_OR_MODIFIED and SKAFFOLD_FILES_DELETED: paths, joined by semicolons. A change
# of the SDK, of the events or of the interfaces affects all components. The script does not push a component whose file is
# the same after the build. If the host refuses a component, the script goes on with the others.
set -eu

changed=$(printf '%s;%s' "${SKAFFOLD_FILES_ADDED_OR_MODIFIED:-}" "${SKAFFOLD_FILES_DELETED:-}" | tr ';' '\n')
cd "$(dirname "$0")/../.."
built=${CARGO_TARGET_DIR:-target}/components

names=''
for manifest in components/*/plugin.toml; do
    name=$(basename "$(dirname "$manifest")")
    if printf '%s\n' "$changed" | grep -qE "(^|/)(components/($name|sdk|events)|wit)/"; then
        names="$names $name"
    fi
done
[ -n "$names" ] || exit 0

sum() {
    cksum <"$built/$1.wasm" 2>/dev/null || echo none
}

before=''
for name in $names; do
    before="$before $name:$(sum "$name" | tr ' ' '-') "
done
cargo xtask build --components

failed=0
for name in $names; do
    case $before in
        *" $name:$(sum "$name" | tr ' ' '-') "*) continue ;;
    esac
    # The program in the container knows the host's address and token.
    kubectl --context "${SKAFFOLD_KUBE_CONTEXT:-}" --namespace "${TICKETING_NAMESPACE:-default}" \
        exec --stdin deployment/ticketing --container host -- \
        ticketing plugin push /dev/stdin --activate <"$built/$name.wasm" || failed=1
done
exit "$failed"
