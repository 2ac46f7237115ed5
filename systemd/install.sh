#!/bin/sh
# Puts the hub on a Raspberry Pi (or any Debian 12 and newer) as a service, from this checkout:
#
#     sudo sh systemd/install.sh                 install or update; may be run again and again
#     sudo sh systemd/install.sh --dry-run       say what would be done, do nothing (needs no sudo)
#     sudo sh systemd/install.sh --uninstall     remove it; /etc/hub, drop-ins and what it remembers stay
#     sudo sh systemd/install.sh --uninstall --purge        … they go too, and the user hub
#
#     --no-apt         install no Debian packages; what is missing is said
#     --no-start       do not start or restart a service
#     --python FILE    another Python than /usr/bin/python3 (3.11 or newer)
#     --root DIR       into a folder instead of / (or DESTDIR=DIR): for tests; the programs in it know DIR by name
#
# The node is one service, hub-node. The EXI gateway is another, hub-gateway, the provisioning server a third,
# hub-provisioning, and the dashboard a fourth, hub-dashboard: each is enabled and started where its file is,
# /etc/hub/gateway.toml (an example lies beside), /etc/hub/provisioning.toml or /etc/hub/dashboard.toml (`hub check
# --dashboard-example` prints one). Write that file and run this again.
#
# Rules of this file
# * Nothing is half-done: a new version is built beside the old one (/opt/hub-a, /opt/hub-b) and /opt/hub is pointed at
#   it when it works. Until then the old one runs on, untouched.
# * Nothing that a person wrote is overwritten: /etc/hub is only added to.
# * An error is one sentence with what to do, and ends with 1 (2: wrong options).
#
# The venv sees Debian's packages (--system-site-packages) for two of them: python3-spidev, of which PyPI has no built
# version for any processor, and python3-lgpio where it is offered (Raspberry Pi OS, Debian 13), of which PyPI has none
# for 32 bit or Python 3.13. That saves a compiler on the Pi. With --python it is a Python that does not see them.

set -eu
umask 022 # whatever sudo brings along: the user hub has to read what is installed

ROOT=${DESTDIR:-}
PYTHON=/usr/bin/python3
APT=yes
START=yes
DRY=
ACTION=install
PURGE=

die() {
    echo "install.sh: $1" >&2
    exit "${2:-1}"
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) DRY=yes ;;
        --no-apt) APT= ;;
        --no-start) START= ;;
        --uninstall) ACTION=uninstall ;;
        --purge) PURGE=yes ;;
        --python | --root)
            [ $# -ge 2 ] || die "$1 wants a value after it" 2
            if [ "$1" = --root ]; then ROOT=$2; else PYTHON=$2; fi
            shift
            ;;
        --python=*) PYTHON=${1#*=} ;;
        --root=*) ROOT=${1#*=} ;;
        -h | --help)
            sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        *) die "unknown option $1; \`sh systemd/install.sh --help\` lists them" 2 ;;
    esac
    shift
done
[ -z "$PURGE" ] || [ "$ACTION" = uninstall ] || die "--purge goes with --uninstall" 2
ROOT=${ROOT%/}
case $ROOT in '' | /*) ;; *) ROOT=$PWD/$ROOT ;; esac
[ -z "$ROOT" ] || [ -d "$ROOT" ] || die "--root $ROOT is not a folder: make it first"

here=$(cd "$(dirname "$0")" && pwd)
source=$(dirname "$here")
MACHINE_SOURCED=1
# shellcheck source=systemd/machine.sh
. "$here/machine.sh"

units=/etc/systemd/system
unit=$units/hub-node.service
others="gateway provisioning dashboard" # services that not everybody has; each has a file of its name in /etc/hub
rules=/etc/udev/rules.d/60-hub.rules
config=/etc/hub/hub.toml
gateway_example=/etc/hub/gateway.toml.example
command=/usr/local/bin/hub

# ---------------------------------------------------------------- doing, or saying what would be done

run() {
    if [ -n "$DRY" ]; then
        echo "would run: $*"
    else
        "$@"
    fi
}

step() { [ -n "$DRY" ] || echo "== $1"; }

# Copy FILE to TARGET with MODE, when it differs
put() {
    if cmp -s "$1" "$ROOT$2"; then
        return
    fi
    if [ -n "$DRY" ]; then
        echo "would write: $2"
        return
    fi
    mkdir -p "$ROOT$(dirname "$2")"
    install -m "$3" "$1" "$ROOT$2.new"
    mv -f "$ROOT$2.new" "$ROOT$2"
}

remove() {
    for path in "$@"; do
        if [ -e "$ROOT$path" ] || [ -L "$ROOT$path" ]; then
            if [ -n "$DRY" ]; then echo "would remove: $path"; else rm -rf "$ROOT$path"; fi
        fi
    done
}

# The group's number below ROOT; its name means nothing to a machine that is not this one
gid_of() { awk -F: -v name="$1" '$1 == name { print $3 }' "$ROOT/etc/group"; }

# MODE and root:hub for a path. In a folder that is not ours to give away, only the mode.
give() {
    if [ "$(id -u)" -eq 0 ]; then
        chown "0:$(gid_of hub)" "$ROOT$2"
    fi
    chmod "$1" "$ROOT$2"
}

# systemd of the machine we run on, when it runs (not in a chroot, not for a folder)
systemd_runs() { [ -z "$ROOT" ] && [ -d /run/systemd/system ]; }

systemctl_here() {
    if [ -n "$ROOT" ]; then
        run systemctl --root="$ROOT" --quiet "$@"
    else
        run systemctl --quiet "$@"
    fi
}

# ---------------------------------------------------------------- install

check_first() {
    machine_os_is_right || die "this is $(machine_os PRETTY_NAME | grep . || echo 'no system that says its name'); \
it takes Debian 12 or newer, or Raspberry Pi OS of the same age"
    [ -f "$source/pyproject.toml" ] || die "$source is not a checkout of the hub: run the install.sh inside of one"
    free=$(machine_free_mib)
    [ -z "$free" ] || [ "$free" -ge "$NEEDED_MIB" ] ||
        die "only $free MiB are free on the disk and $NEEDED_MIB are needed: make room (\`sudo apt-get clean\` helps)"
    for tool in systemctl systemd-sysusers; do
        command -v "$tool" >/dev/null || die "$tool is missing: this system is not run by systemd, which the service needs"
    done
}

packages() {
    [ -n "$APT" ] || return 0
    step "Debian packages"
    # A stale list is no reason to stop: what is wanted is usually known to it
    run apt_get update || echo "install.sh: the package lists could not be renewed; going on with the old ones" >&2
    wanted="procps ca-certificates"
    if [ "$PYTHON" = /usr/bin/python3 ]; then
        wanted="$wanted python3 python3-venv python3-spidev"
        if machine_offers python3-lgpio; then
            wanted="$wanted python3-lgpio"
        fi
    fi
    # shellcheck disable=SC2086  # a list
    run apt_get install --no-install-recommends $wanted ||
        die "apt-get could not install $wanted: see above, mend it and run this again"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes -o DPkg::Lock::Timeout=120 "$@" </dev/null
}

EXTRAS="pi,gateway,mqtt" # Python packages that not everybody needs (pyproject.toml)
[ ! -e "$ROOT/etc/hub/provisioning.toml" ] || EXTRAS=$EXTRAS,provisioning,postgres
[ ! -e "$ROOT/etc/hub/dashboard.toml" ] || EXTRAS=$EXTRAS,dashboard
COMPILER="gcc libc6-dev make cmake swig python3-dev libffi-dev"

slot_in_use() { readlink "$ROOT/opt/hub" 2>/dev/null || true; }

cleanup() {
    [ -z "${work:-}" ] || rm -rf "$work"
    [ -z "${unfinished:-}" ] || rm -rf "$unfinished"
}

build() {
    case $(slot_in_use) in hub-a) slot=hub-b ;; *) slot=hub-a ;; esac
    if [ -e "$ROOT/opt/hub" ] && [ ! -L "$ROOT/opt/hub" ]; then
        die "$ROOT/opt/hub is there and not from this installer: move it away, then run this again"
    fi
    # What --dry-run misses here, the real run may have installed by now
    if [ -z "$DRY" ]; then
        machine_python_is_right ||
            die "$PYTHON is $(machine_python | grep . || echo missing); it takes Python 3.11 or newer"
        "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
            die "$PYTHON cannot make a venv: \`sudo apt-get install python3-venv\`"
    fi
    sees=
    [ "$PYTHON" != /usr/bin/python3 ] || sees=--system-site-packages
    step "Python packages, into /opt/$slot (this is the long part)"
    venv=$ROOT/opt/$slot
    if [ -n "$DRY" ]; then
        echo "would run: $PYTHON -m venv $sees --clear $venv"
        echo "would run: $venv/bin/pip install ${source}[$EXTRAS]"
        echo "would point: /opt/hub to $slot"
        return
    fi
    mkdir -p "$ROOT/opt"
    unfinished=$venv
    # shellcheck disable=SC2086  # an option or nothing
    "$PYTHON" -m venv $sees --clear "$venv" || die "$PYTHON could not make a venv in $venv: see above"
    # A copy, because building writes into the folder: no files of root's in somebody's checkout
    mkdir "$work/source"
    for part in pyproject.toml setup.py README.md LICENSE hub devices; do
        [ ! -e "$source/$part" ] || cp -R "$source/$part" "$work/source/"
    done
    if [ -z "${HUB_EXI_PURE:-}" ] && command -v "${CC:-gcc}" >/dev/null; then
        echo "A C compiler is here: with python3-dev, too, the EXI codec is compiled, which is several silent minutes"
        echo "on a small Pi. HUB_EXI_PURE=1 in front of \`sh systemd/install.sh\` does without."
    fi
    if ! pip_install; then
        # A compiler helps only when it was building that failed; a network that is away it does not bring back
        grep -Eq 'Failed building wheel|Failed to build|metadata-generation-failed' "$work/pip.log" 2>/dev/null ||
            die "pip could not install the hub, see above: is the network there? Run this again when it is"
        if [ -z "$APT" ]; then
            die "something had to be built and could not, see above: \`sudo apt-get install $COMPILER\`, then run this again"
        fi
        step "Something has to be built here: getting a compiler"
        # shellcheck disable=SC2086  # a list
        run apt_get install --no-install-recommends $COMPILER ||
            die "apt-get could not install a compiler: see above, mend it and run this again"
        pip_install || die "pip could not build and install the hub: see above"
    fi
    # In a folder that can be written: lgpio makes a pipe where it is imported
    (cd "$work" && "$venv/bin/hub" check --example >"$work/example.toml" &&
        "$venv/bin/hub" check --gateway-example >"$work/gateway.toml" && "$venv/bin/hub" --version >/dev/null) ||
        die "the hub was installed but does not run: see above; the version before stays in use"
    (cd "$work" && "$venv/bin/hub" exi info 2>/dev/null | sed -n '1s/^/EXI /p') || true
    for module in lgpio spidev; do
        (cd "$work" && "$venv/bin/python" -c "import $module" 2>/dev/null) ||
            echo "install.sh: note: the Python module $module cannot be imported; things that need it will say so" >&2
    done
    ln -sfn "$slot" "$ROOT/opt/hub.new" # one may be left from a run that was cut off
    mv -fT "$ROOT/opt/hub.new" "$ROOT/opt/hub"
    unfinished=
}

pip_install() {
    # PYPI=1: lgpio then builds with its own C code. TMPDIR: /tmp can be a small RAM disk.
    PYPI=1 TMPDIR=$work PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 \
        "$venv/bin/pip" install --quiet --prefer-binary --log "$work/pip.log" "${work}/source[$EXTRAS]" </dev/null
}

settle() {
    step "User hub, groups gpio, i2c, spi"
    if [ "$(id -u)" -ne 0 ] && grep -q '^hub:' "$ROOT/etc/passwd" 2>/dev/null; then
        : # made before; in a folder of one's own, only root could open its shadow files again
    elif [ -n "$ROOT" ]; then
        run systemd-sysusers --root="$ROOT" "$here/hub.sysusers"
    else
        run systemd-sysusers "$here/hub.sysusers"
    fi || die "the user hub could not be made: see above"
    put "$here/hub.rules" "$rules" 0644
    put "$here/hub-node.service" "$unit" 0644
    for other in $others; do
        put "$here/hub-$other.service" "$units/hub-$other.service" 0644
    done
    if [ -z "$ROOT" ] && [ -S /run/udev/control ]; then
        for subsystem in gpio i2c-dev spidev; do
            run udevadm control --reload && run udevadm trigger --subsystem-match="$subsystem"
        done || true # a rule that cannot be applied now is applied at the next start of the machine
    fi
}

# Copy FILE to TARGET in /etc/hub, where there is none yet
add() {
    [ ! -e "$ROOT$2" ] || return 0
    (umask 077 && cp "$1" "$ROOT$2.new")
    give 0640 "$2.new"
    mv "$ROOT$2.new" "$ROOT$2"
}

configure() {
    step "Configuration in /etc/hub"
    if [ -n "$DRY" ]; then
        [ -e "$ROOT$config" ] || echo "would write: $config (an example), /etc/hub/greenhouse.password (empty)"
        [ -e "$ROOT$gateway_example" ] || echo "would write: $gateway_example"
        [ -L "$ROOT$command" ] || echo "would point: $command to /opt/hub/bin/hub"
        return
    fi
    mkdir -p "$ROOT/etc/hub" "$ROOT$(dirname "$command")"
    give 0750 /etc/hub
    add "$work/example.toml" "$config"
    add "$work/gateway.toml" "$gateway_example"
    password=$(password_file)
    case $password in
        *..*) ;;
        /etc/hub/*)
            if [ ! -e "$ROOT$password" ]; then
                (umask 077 && : >"$ROOT$password")
                give 0640 "$password"
            fi
            ;;
    esac
    if [ ! -e "$ROOT$command" ] && [ ! -L "$ROOT$command" ]; then
        ln -s /opt/hub/bin/hub "$ROOT$command"
    fi
}

# What the configuration names as its password file; nothing with a certificate
password_file() {
    sed -n 's/^[[:space:]]*password_file[[:space:]]*=[[:space:]]*"\([^"]*\)".*/\1/p' "$ROOT$config" | head -n 1
}

# SERVICE, and what it is in words. Where it has no configuration it would fail for ever, so it is not enabled there, or
# no longer
activate_other() {
    other_service=hub-$1.service
    other_config=/etc/hub/$1.toml
    if [ ! -e "$ROOT$other_config" ]; then
        if [ -L "$ROOT$units/multi-user.target.wants/$other_service" ]; then
            systemctl_here disable "$other_service" || die "systemd could not disable $other_service: see above"
            if systemd_runs; then
                run systemctl stop "$other_service" || true # it is failing anyway
            fi
        fi
        [ -z "$DRY" ] || echo "would not enable: hub-$1, as there is no $other_config"
        return
    fi
    systemctl_here enable "$other_service" || die "systemd could not enable $other_service: see above"
    if [ -n "$DRY" ]; then
        [ -z "$START" ] || ! systemd_runs || echo "would run: systemctl restart $other_service"
        return
    fi
    echo
    if cmp -s "$work/$1.toml" "$ROOT$other_config"; then
        echo "The $2 is enabled, not started: $other_config is still the example. Next:"
        echo "    sudo nano $other_config"
        echo "    sudo hub check $other_config"
        echo "    sudo systemctl restart hub-$1                  # journalctl -fu hub-$1 shows its log"
    elif ! "$ROOT/opt/hub/bin/hub" check "$ROOT$other_config" >"$work/check" 2>&1; then
        cat "$work/check" >&2
        trouble="the $2 is enabled, not started: mend $other_config, then \`sudo systemctl restart hub-$1\`"
        echo "install.sh: $trouble" >&2
    elif [ -n "$START" ] && systemd_runs; then
        if run systemctl restart "$other_service"; then
            echo "The $2 is enabled and started: \`systemctl status hub-$1\`, \`journalctl -fu hub-$1\`"
        else
            trouble="hub-$1 did not start: \`journalctl -eu hub-$1\` says why"
            echo "install.sh: $trouble" >&2
        fi
    else
        echo "The $2 is enabled: \`sudo systemctl restart hub-$1\` starts it"
    fi
}

activate() {
    systemctl_here enable hub-node.service || die "systemd could not enable hub-node.service: see above"
    [ -z "$DRY" ] || return 0
    password=$(password_file)
    echo
    if cmp -s "$work/example.toml" "$ROOT$config"; then
        echo "Installed and enabled, not started: $config is still the example. Next:"
        echo "    sudo nano $config"
        echo "    sudo nano $password                # the account's password, one line"
        echo "    sudo hub check $config"
        echo "    sudo systemctl start hub-node                       # journalctl -fu hub-node shows its log"
    elif ! "$ROOT/opt/hub/bin/hub" check "$ROOT$config" >"$work/check" 2>&1; then
        cat "$work/check" >&2
        die "installed and enabled, not started: mend $config, then \`sudo systemctl restart hub-node\`"
    elif [ -n "$password" ] && [ -e "$ROOT$password" ] && [ ! -s "$ROOT$password" ]; then
        echo "Installed and enabled, not started: put the password into $password, then"
        echo "    sudo systemctl start hub-node"
    elif [ -n "$START" ] && systemd_runs; then
        run systemctl restart hub-node.service ||
            die "hub-node did not start: \`journalctl -eu hub-node\` says why"
        echo "Installed and started: \`systemctl status hub-node\`, \`journalctl -fu hub-node\`"
    else
        echo "Installed and enabled: \`sudo systemctl restart hub-node\` starts it"
    fi
}

# ---------------------------------------------------------------- uninstall

# Take `hub` out of passwd or group
forget() {
    grep -q '^hub:' "$ROOT/etc/$1" 2>/dev/null || return 0
    if [ -n "$ROOT" ]; then run "$2" --prefix "$ROOT" hub; else run "$2" hub; fi ||
        die "hub could not be removed from /etc/$1: \`sudo $2 hub\`"
}

uninstall() {
    # The node stops first: outputs are driven to their safe states before anything is removed, and its goodbye may go
    # through the gateway
    for service in hub-node hub-gateway hub-provisioning hub-dashboard; do
        if systemd_runs && [ -e "$units/$service.service" ]; then
            run systemctl stop "$service.service" || die "$service does not stop: \`systemctl status $service\`"
        fi
        if [ -e "$ROOT$units/$service.service" ]; then
            systemctl_here disable "$service.service" || true # the link goes below in any case
        fi
        remove "$units/$service.service" "$units/multi-user.target.wants/$service.service"
    done
    remove "$rules"
    case $(readlink "$ROOT$command" 2>/dev/null) in /opt/hub/bin/hub) remove "$command" ;; esac
    remove /opt/hub /opt/hub-a /opt/hub-b
    if systemd_runs; then
        run systemctl daemon-reload
    fi
    if [ -z "$PURGE" ]; then
        [ -n "$DRY" ] || echo "Removed. Kept: /etc/hub, what is in /var/lib/hub*, your drop-ins and the user hub (--purge removes them too)."
        return
    fi
    remove /etc/hub /var/lib/hub "$unit.d"
    for other in $others; do
        remove "/var/lib/hub-$other" "$units/hub-$other.service.d"
    done
    if [ -n "$ROOT" ] && [ "$(id -u)" -ne 0 ]; then
        echo "install.sh: note: the user hub stays in $ROOT/etc/passwd; only root can take it out" >&2
    else
        forget passwd userdel
        forget group groupdel # left behind where USERGROUPS_ENAB is off
    fi
    [ -n "$DRY" ] || echo "Removed, with its configuration, states and user. The groups gpio, i2c and spi stay."
}

# ---------------------------------------------------------------- in order

if [ -z "$ROOT" ] && [ -z "$DRY" ] && [ "$(id -u)" -ne 0 ]; then
    die "this changes the system: \`sudo sh systemd/install.sh\` (or look first with --dry-run)"
fi
if [ "$ACTION" = uninstall ]; then
    uninstall
    exit 0
fi
machine_report
echo
check_first
work=
unfinished=
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ -z "$DRY" ]; then
    mkdir -p "$ROOT/var/tmp"
    work=$(mktemp -d "$ROOT/var/tmp/hub-install.XXXXXX")
fi
packages
build
settle
configure
trouble=
if systemd_runs; then
    run systemctl daemon-reload
fi
activate_other gateway gateway
activate_other provisioning "provisioning server"
activate_other dashboard dashboard
activate
[ -z "$trouble" ] || exit 1
