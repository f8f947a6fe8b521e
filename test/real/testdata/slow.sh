#!/bin/sh
# A model for mlpipeline (MLPIPELINE_PROTOCOL) that trains until it is asked to stop.
trap 'echo "{\"type\":\"end\",\"status\":\"interrupted\"}" >&4; exit 0' TERM
echo '{"type":"hello","protocol":1}' >&4
while read -r command <&3; do
	case $command in
	*'"type":"list"'*)
		for name in one two three four; do
			echo "{\"type\":\"version\",\"version\":{\"name\":\"$name\",\"batch_size\":1,\"epochs\":100000,\"dataloader\":\"none\",\"model_dir_suffix\":\"$name\"}}" >&4
		done
		echo '{"type":"listed"}' >&4 ;;
	*'"type":"run"'*)
		echo '{"type":"phase","phase":"train","step":0,"total":100000,"train_samples":1,"test_samples":1}' >&4
		step=0
		while [ $step -lt 100000 ]; do
			step=$((step + 1))
			echo "{\"type\":\"progress\",\"step\":$step,\"total\":100000}" >&4
			sleep 0.05
		done ;;
	esac
done
