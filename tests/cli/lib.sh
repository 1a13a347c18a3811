# SPDX-License-Identifier: Apache-2.0
# For the scripts of tests/cli: TAP, a work folder, and an installation (simulator vendor, key broker,
# owner with sealed Fashion-MNIST) made with the program's own commands. Source it; CLO_BUILD is the
# build folder. Everything started here is stopped at exit.
build=${CLO_BUILD:?CLO_BUILD is not set}
cloister=$build/cloister
tee=$build/cloister-tee
data=/usr/share/datasets/fashion-mnist
work=$(mktemp -d)
points=0
children=()

finish() {
    for pid in "${children[@]}"; do kill "$pid" 2>/dev/null; done
    wait 2>/dev/null
    cd /
    rm -rf "$work"
}
trap finish EXIT
# Set on some machines for other programs; a TEE role would refuse to start with them.
unset SSL_CERT_DIR SSL_CERT_FILE
cd "$work" || exit 1

# ok NAME COMMAND...: one point; the command's output is shown when it fails.
ok() {
    local name=$1
    shift
    points=$((points + 1))
    if "$@" >"$work/ok.log" 2>&1; then
        echo "ok $points - $name"
    else
        echo "not ok $points - $name"
        tail -n 20 "$work/ok.log" | sed 's/^/# /'
    fi
}

# refused NAME WORDS CODE COMMAND...: it must fail with CODE and say WORDS (an extended pattern).
refused() {
    local name=$1 words=$2 code=$3
    shift 3
    points=$((points + 1))
    "$@" >"$work/refused.log" 2>&1
    local got=$?
    if [ $got = "$code" ] && grep -qE -- "$words" "$work/refused.log"; then
        echo "ok $points - $name"
    else
        echo "not ok $points - $name: code $got (expected $code), words '$words'"
        tail -n 20 "$work/refused.log" | sed 's/^/# /'
    fi
}

skip_all() {
    echo "ok 1 - all # SKIP $1"
    echo "1..1"
    exit 0
}

plan() {
    echo "1..$points"
}

# wait_for FILE PATTERN SECONDS
wait_for() {
    local left=$(($3 * 20))
    while ! grep -qE -- "$2" "$1" 2>/dev/null; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.05
    done
}

free_port() { # a port of loopback nobody listens on now
    local port
    while port=$((20000 + RANDOM % 30000)) && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo $port
}

start_vendor() { # start_vendor FOLDER
    "$cloister" attest sim-init "$1" >/dev/null || return 1
    "$cloister" attest sim-run "$1" >"$1.log" 2>&1 &
    children+=($!)
    local left=200
    while [ ! -S "$1/qe.sock" ]; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.05
    done
}

# start_broker NAME: its listeners are then in $slots and $owners, its process in $broker_pid.
start_broker() {
    "$cloister" kms init "$1" --root "file:$1.root" >/dev/null || return 1
    serve_broker "$1" 127.0.0.1:0 127.0.0.1:0
}

serve_broker() { # serve_broker NAME SLOTS OWNERS
    : >"$1.out"
    "$cloister" kms serve "$1" --root "file:$1.root" --maker sim:vendor/qe.sock \
        --slots "$2" --owners "$3" --json >"$1.out" 2>>"$1.log" &
    broker_pid=$!
    children+=($broker_pid)
    wait_for "$1.out" '"ready"' 20 || return 1
    slots=$(sed -n 's/.*"slots":"\([^"]*\)".*/\1/p' "$1.out")
    owners=$(sed -n 's/.*"owners":"\([^"]*\)".*/\1/p' "$1.out")
}

# pin_owner PUB: lets this key act at the broker of start_broker, which may be serving.
pin_owner() {
    "$cloister" kms owner broker "$1" --root file:broker.root >/dev/null
}

pin_broker() {
    "$cloister" kms trust "$owners" --owner owner.key --measurement "$measurement" \
        --simulator-root vendor/root.pem --accept insecure_root_operator \
        --accept insecure_no_anchor >/dev/null
}

make_policy() { # make_policy FILE [OPTION...]
    local file=$1
    shift
    "$cloister" kms policy make --owner owner.key --key "$key" --data-set fashion-mnist \
        --measurement "$measurement" --simulator-root vendor/root.pem --model mnist-cnn \
        --recipient owner-receive.pub --metrics step -o "$file" "$@"
}

seal_data() { # seal_data POLICY INDEX
    "$cloister" seal "train/images=$data/train-images-idx3-ubyte.gz" \
        "train/labels=$data/train-labels-idx1-ubyte.gz" \
        "test/images=$data/t10k-images-idx3-ubyte.gz" \
        "test/labels=$data/t10k-labels-idx1-ubyte.gz" \
        --owner owner.key --broker "$owners" --policy "$1" --index "$2" >/dev/null
}

make_job() { # make_job FILE [OPTION...]: signed and approved
    local file=$1
    shift
    "$cloister" job make mnist-cnn --batch-size 64 --seed 42 --train sealed/data.index:train \
        --test sealed/data.index:test --sign owner.key -o "$file" "$@" >/dev/null &&
        "$cloister" job approve "$file" --owner owner.key --broker "$owners" >/dev/null
}

# The whole installation, each step checked.
install() {
    start_vendor vendor && start_broker broker && "$cloister" keygen owner >/dev/null &&
        pin_owner owner.pub &&
        measurement=$("$cloister" attest measure) && pin_broker &&
        key=$("$cloister" kms key fashion-mnist --owner owner.key --broker "$owners") &&
        make_policy policy.dsse &&
        "$cloister" kms policy put policy.dsse --owner owner.key --broker "$owners" >/dev/null &&
        seal_data policy.dsse sealed/data.index
}

train() { # train JOB [OPTION...] with this installation's addresses
    local job=$1
    shift
    timeout 120 "$cloister" train "$job" --broker "$slots" --maker sim:vendor/qe.sock "$@"
}
