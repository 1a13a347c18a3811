# SPDX-License-Identifier: Apache-2.0
# Sourced instead of lib.sh by scripts that use the programs as a person at a terminal does: found
# in the PATH, with a home folder of their own and the default maker, whose simulator vendor stands
# where `attest sim-init` puts it.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
set -u
export HOME=$work PATH=$build:$PATH TERM=dumb
# What a machine may have set for others; a TEE role would not start with it.
unset SSL_CERT_DIR SSL_CERT_FILE OPENSSL_CONF LD_LIBRARY_PATH GLIBC_TUNABLES

# check NAME CODE PATTERN COMMAND...: it ends with CODE, and what it says on either stream has a
# line that matches PATTERN (extended; '^$' when it says nothing).
check() {
    local name=$1 code=$2 pattern=$3 found
    shift 3
    points=$((points + 1))
    "$@" >check.log 2>&1 </dev/null
    found=$?
    [ -s check.log ] || echo >check.log
    if [ $found = "$code" ] && grep -Eq -- "$pattern" check.log; then
        echo "ok $points - $name"
    else
        echo "not ok $points - $name: code $found (expected $code), words '$pattern'"
        tail -n 12 check.log | sed 's/^/# /'
    fi
}

give_up() {
    echo "Bail out! $1"
    exit 2
}

# flip_byte FILE OFFSET
flip_byte() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# Leaves a script out where the build has no simulator.
need_simulator() {
    cloister attest sim-init probe >/dev/null 2>&1 || skip_all "this build has no simulator"
}

# A vendor in the default place and its quoting process; $SIM is the root's certificate.
start_default_vendor() {
    mkdir "$HOME/.cloister" && start_vendor "$HOME/.cloister/simulator" ||
        give_up "no simulator vendor"
    SIM=$HOME/.cloister/simulator/root.pem
}
