#!/bin/sh
# The way over SageMaker, on the emulator: no account. Films go to S3, two instances prepare them, spot instances that are
# taken away twice train, and the registry is SageMaker's. `make demo-aws` calls this.
set -eu
: "${CXR:=cxr}" "${DEMO:=.demo-aws}" "${IMAGES:=600}" "${SIZE:=64}" "${GATE:=}" "${FLAGS:=--epochs 3 --batch-size 16 --learning-rate 0.002 --checkpoint-steps 5}"
rm -rf "$DEMO"
mkdir -p "$DEMO"
export CXR_HOME="$DEMO/home" CXR_SAGEMAKER_POLL_SECONDS=0.5 CXR_SAGEMAKER_ENVIRONMENT=OMP_NUM_THREADS=1 OMP_NUM_THREADS=1
unset CXR_MLFLOW_TRACKING_URI CXR_BACKEND
started=$(date +%s)

step() {
    printf '\n\033[1m[%3ds] %s\033[0m\n' "$(($(date +%s) - started))" "$1"
}

step "Start the emulator: SageMaker, S3 and CloudWatch Logs on this machine"
"$CXR" emulator --background > "$DEMO/environment"
. "$DEMO/environment"
trap '"$CXR" emulator stop || true' EXIT
trap 'exit 130' INT TERM
bucket="s3://$CXR_SAGEMAKER_BUCKET"

step "What the commands need is there"
"$CXR" doctor --backend sagemaker

step "Draw $IMAGES phantom radiographs (research use only; these are no patients)"
"$CXR" phantom "$DEMO/phantom" --images "$IMAGES" --size 128

step "Copy them to S3 and prepare them on two instances"
"$CXR" prepare-data --backend sagemaker --instance-count 2 --source "$DEMO/phantom" --output "$bucket/shards" --image-size "$SIZE"

step "Train on spot instances, which are taken away twice"
: > "$DEMO/train.log"
job=demo-$(date +%s)
# shellcheck disable=SC2086
"$CXR" train --backend sagemaker --use-spot --job-name "$job" --data "$bucket/shards" --output "$DEMO/run" $FLAGS > "$DEMO/train.log" 2>&1 &
training=$!
taken=0
shown=0
while kill -0 "$training" 2> /dev/null; do
    lines=$(wc -l < "$DEMO/train.log")
    [ "$lines" -gt "$shown" ] && sed -n "$((shown + 1)),${lines}p" "$DEMO/train.log" && shown=$lines
    # Once after each of the first two epochs.
    if [ "$taken" -lt 2 ] && grep -q "epoch=$((taken + 1)) " "$DEMO/train.log" && "$CXR" emulator reclaim "$job"; then
        taken=$((taken + 1))
    fi
    sleep 0.2
done
wait "$training"
sed -n "$((shown + 1)),\$p" "$DEMO/train.log"
echo "Taken away $taken times."

step "The same here, undisturbed: the weights are the same bytes"
"$CXR" prepare-data --source "$DEMO/phantom" --output "$DEMO/shards" --image-size "$SIZE"
# shellcheck disable=SC2086
"$CXR" train --data "$DEMO/shards" --output "$DEMO/here" $FLAGS
cmp "$DEMO/run/model/weights.safetensors" "$DEMO/here/model/weights.safetensors"
echo "The same."

step "Evaluate and export"
"$CXR" evaluate --run "$DEMO/run" --data "$bucket/shards"
"$CXR" export --run "$DEMO/run" --data "$bucket/shards"

step "Register as a model package, and approve"
export CXR_BACKEND=sagemaker
# shellcheck disable=SC2086
"$CXR" register --bundle "$DEMO/run/bundle" --model-name chest-xray-demo $GATE
"$CXR" approve chest-xray-demo --version 1 --reason "demo on phantom images"
step "Done"
