#!/bin/sh
# A model for mlpipeline (MLPIPELINE_PROTOCOL) that does nothing.
echo '{"type":"hello","protocol":1}' >&4
while read -r command <&3; do
	case $command in
	*'"type":"list"'*)
		echo '{"type":"version","version":{"name":"only","batch_size":1,"epochs":1,"dataloader":"none"}}' >&4
		echo '{"type":"listed"}' >&4 ;;
	*'"type":"run"'*)
		echo '{"type":"end","status":"finished"}' >&4
		exit 0 ;;
	esac
done
