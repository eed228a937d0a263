#!/bin/sh
# Which level of the U-Net carries what: skips removed level by level, both tasks.
#
#     benchmarks/skip_ablation.sh [full|fast|reduced|tiny] [OUT]
#
# Repeated, it goes on where it was interrupted; tables, figures and pages are in OUT/<task>.
set -eu
form=${1:-full}
out=${2:-saved_models/skip-ablation-$form}
case $form in
full)
    set -- --seeds 3 --set train_size=1000 --set validation_size=200 --batch-size 16 ;;
fast)  # the images of `full`, half its epochs
    set -- --seeds 3 --recipe fast --epochs 10 --batch-size 12 --learning-rate 0.1 \
        --set 'progressive_sizes=[]' --set model_args.filters=16 --set train_size=1000 \
        --set validation_size=200 --set test_size=500 --precision mixed_bfloat16 ;;
reduced)
    set -- --seeds 3 --image-size 48 --epochs 8 --batch-size 8 --set model_args.filters=8 \
        --set train_size=300 --set validation_size=60 --set test_size=120 ;;
tiny)
    set -- --seeds 1 --image-size 16 --epochs 1 --batch-size 8 --set model_args.filters=2 \
        --set train_size=16 --set validation_size=4 --set test_size=4 ;;
*)
    echo "usage: $0 [full|fast|reduced|tiny] [OUT]" >&2
    exit 2 ;;
esac
for task in segmentation colorization; do
    ${PYTHON:-python3} -m kerasdl sweep $task \
        --grid "skips=all,none,[2,3,4],[1,3,4],[1,2,4],[1,2,3]" --out "$out/$task" "$@"
done
