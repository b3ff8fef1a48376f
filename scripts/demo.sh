#!/bin/sh
# The whole way, step by step. Each command skips what it has done already; `make demo` calls this.
set -eu
: "${CXR:=cxr}" "${DEMO:=.demo}" "${IMAGES:=3600}" "${SERVE:=1}" "${FLAGS:=}"
export CXR_HOME="$DEMO/home"
unset CXR_MLFLOW_TRACKING_URI
started=$(date +%s)

step() {
    printf '\n\033[1m[%3ds] %s\033[0m\n' "$(($(date +%s) - started))" "$1"
}

step "Draw $IMAGES phantom radiographs (research use only; these are no patients)"
"$CXR" phantom "$DEMO/phantom" --images "$IMAGES" --size 256

step "Prepare shards"
"$CXR" prepare-data --source "$DEMO/phantom" --output "$DEMO/shards" --image-size 112

step "Train DenseNet121"
# shellcheck disable=SC2086
"$CXR" train --data "$DEMO/shards" --output "$DEMO/run" $FLAGS

step "Evaluate on the test list"
"$CXR" evaluate --run "$DEMO/run" --data "$DEMO/shards"

step "Export the bundle"
"$CXR" export --run "$DEMO/run" --data "$DEMO/shards"

step "Register, approve, deploy"
"$CXR" register --bundle "$DEMO/run/bundle" --model-name chest-xray-demo --data "$DEMO/shards" --json > "$DEMO/registered.json"
version=$(sed -n 's/^ *"version": \([0-9]*\),$/\1/p' "$DEMO/registered.json")
"$CXR" approve chest-xray-demo --version "$version" --reason "demo on phantom images"
"$CXR" deploy --model-name chest-xray-demo --version "$version" --endpoint demo

step "Predict one film"
film=$(grep -F -f "$DEMO/phantom/test_list.txt" "$DEMO/phantom/Data_Entry_2017_v2020.csv" | grep -m 1 ',Effusion,' | cut -d , -f 1)
: "${film:=$(head -n 1 "$DEMO/phantom/test_list.txt")}"
"$CXR" predict "$DEMO/phantom/images/$film" --endpoint demo --heatmap "$DEMO/pictures"

step "Done"
if [ "$SERVE" != 0 ]; then
    echo "Try: curl -s -H 'Content-Type: image/png' --data-binary @$DEMO/phantom/images/$film http://127.0.0.1:8000/v1/predictions"
    exec "$CXR" serve --endpoint demo
fi
