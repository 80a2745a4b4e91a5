#!/bin/sh
# Plans the specs of a directory against a node as it is now, and prints the plan as a comment for a merge request.
# Nothing runs on the node: its agent answers over HTTP.
#
# usage: plan.sh URL SPECS >comment.md
#        URL is that of the agent, as in http://node1.example.org:9842
# CURL_OPTIONS: more options of curl, as in --cacert ca.pem --netrc-file FILE
#
# Exit status: that of volreconciler plan, or of curl.
set -eu

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# shellcheck disable=SC2086 # several options
curl --fail --silent --show-error ${CURL_OPTIONS:-} -o "$dir/node.yaml" "$1/v1/node"
# Without what the agent remembers, nothing would be shown as deleted.
# shellcheck disable=SC2086
curl --fail --silent --show-error ${CURL_OPTIONS:-} -o "$dir/node.yaml.identities.json" "$1/v1/identities"
[ -s "$dir/node.yaml.identities.json" ] || rm -f "$dir/node.yaml.identities.json" # it remembers nothing yet

volreconciler plan --node "$dir/node.yaml" --specs "$2" -o markdown
