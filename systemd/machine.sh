#!/bin/sh
# What this machine can and cannot do for a hub, before anything is installed:
#
#     sh systemd/machine.sh [--root DIR] [--python FILE]
#
# Rules of this file
# * It only reads, and needs no rights. Everything is read below DIR, so that a made-up tree is a machine too.
# * install.sh sources it (MACHINE_SOURCED=1) for the facts; run by itself it prints the report and ends with 0.

ROOT=${ROOT:-}
PYTHON=${PYTHON:-/usr/bin/python3}

NEEDED_MIB=200          # the venv is 70 MiB; pip needs the same again while it unpacks
NEEDED_BUILD_MIB=900    # with a compiler, cmake and what they leave behind while building

machine_model() {
    if [ -r "$ROOT/proc/device-tree/model" ]; then
        tr -d '\000' <"$ROOT/proc/device-tree/model"
    fi
}

machine_is_pi() {
    case $(machine_model) in *"Raspberry Pi"*) return 0 ;; esac
    return 1
}

# 64, 32 or ? : of the programs, not of the kernel. Raspberry Pi OS 32-bit runs under a 64-bit kernel on a Pi 4, and
# `uname -m` says aarch64 there; the fifth byte of an ELF file tells the truth.
machine_bits() {
    case $(od -An -tu1 -j4 -N1 "$ROOT/bin/sh" 2>/dev/null | tr -d ' ') in
        2) echo 64 ;;
        1) echo 32 ;;
        *) echo '?' ;;
    esac
}

machine_is_armv6() {
    grep -qi 'ARMv6' "$ROOT/proc/cpuinfo" 2>/dev/null
}

# A value of /etc/os-release, without its quotes
machine_os() {
    sed -n "s/^$1=//p" "$ROOT/etc/os-release" 2>/dev/null | tr -d '"' | head -n 1
}

machine_os_is_right() {
    case $(machine_os ID) in debian | raspbian) ;; *) return 1 ;; esac
    release=$(machine_os VERSION_ID)
    case $release in
        '') return 0 ;; # Debian testing and unstable have no number; they are newer
        *[!0-9]*) return 1 ;;
    esac
    [ "$release" -ge 12 ]
}

machine_python() {
    "$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

machine_python_is_right() {
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# Whether Debian (or Raspberry Pi OS) offers a package here
machine_offers() {
    apt-cache policy "$1" 2>/dev/null | grep 'Candidate:' | grep -qv '(none)'
}

machine_has() {
    for file in "$@"; do
        [ -e "$file" ] && return 0
    done
    return 1
}

machine_config_txt() {
    for file in /boot/firmware/config.txt /boot/config.txt; do
        if [ -e "$ROOT$file" ]; then
            echo "$file"
            return
        fi
    done
    echo /boot/firmware/config.txt
}

# Whether config.txt switches something on already (a pattern at the beginning of a line)
machine_configured() {
    grep -Eq "^[[:space:]]*$1" "$ROOT$(machine_config_txt)" 2>/dev/null
}

machine_free_mib() {
    place=$ROOT/opt
    [ -d "$place" ] || place=${ROOT:-/}
    df -Pk "$place" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }'
}

machine_ram_mib() {
    awk '/^MemTotal:/ { print int($2 / 1024) }' "$ROOT/proc/meminfo" 2>/dev/null
}

machine_clock_is_set() {
    [ -e "$ROOT/run/systemd/timesync/synchronized" ] && return 0
    # chrony and ntpd leave no such file; ask, but only about the machine we run on
    [ -z "$ROOT" ] && [ "$(timedatectl show --property=NTPSynchronized --value 2>/dev/null)" = yes ]
}

say() { printf '  %-9s %s\n' "$1" "$2"; }

# name, pattern in config.txt, the line that switches it on, files of which one is there when it is on
say_bus() {
    bus=$1 pattern=$2 line=$3
    shift 3
    if machine_has "$@"; then
        say "$bus" "on"
    elif machine_configured "$pattern"; then
        say "$bus" "OFF, but switched on in $(machine_config_txt): \`sudo reboot\`"
    else
        say "$bus" "OFF; to switch it on: $line"
    fi
}

# `sudo raspi-config nonint …` where there is a raspi-config, the same by hand where there is none
switch_on() {
    if machine_has "$ROOT/usr/bin/raspi-config"; then
        echo "\`sudo raspi-config nonint $1 0\`"
    else
        echo "add the line \`$2\` to $(machine_config_txt), then \`sudo reboot\`"
    fi
}

machine_report() {
    echo "What this machine can do:"
    model=$(machine_model)
    say machine "${model:-not a Raspberry Pi: simulated things, this machine itself, and buses it has in /dev}"
    name=$(machine_os PRETTY_NAME)
    if machine_os_is_right; then
        say system "${name:-Debian}"
    else
        say system "${name:-unknown}: NOT supported, it takes Debian 12 or newer, or Raspberry Pi OS of the same age"
    fi
    bits=$(machine_bits)
    case $bits in
        64) say programs "64-bit: everything comes ready built, a few minutes" ;;
        32)
            say programs "32-bit: works the same as 64-bit, only installing can take longer"
            echo "            Raspberry Pi OS looks for ready built packages at piwheels: then it takes 5 to 10 minutes."
            if machine_is_armv6; then
                echo "            What is not there (msgspec, cffi, pycares, lgpio) is built here: about 45 minutes on this"
            else
                echo "            What is not there (msgspec, cffi, pycares, lgpio) is built here: about 10 minutes on this"
            fi
            echo "            processor, once; updates use what was built. Do not switch off meanwhile."
            ;;
        *) say programs "neither 32 nor 64 bit can be told: $ROOT/bin/sh cannot be read" ;;
    esac

    python=$(machine_python)
    if [ -z "$python" ]; then
        say Python "missing at $PYTHON; the installer brings it"
    elif machine_python_is_right; then
        say Python "$python"
    else
        say Python "$python: TOO OLD, it takes 3.11 or newer"
    fi
    if machine_offers python3-lgpio; then
        say "pin lib." "lgpio, from the package python3-lgpio"
    elif [ "$bits" = 64 ]; then
        say "pin lib." "lgpio, ready built from PyPI"
    else
        say "pin lib." "lgpio, from piwheels or built here"
    fi

    config_txt=$(machine_config_txt)
    if machine_has "$ROOT"/dev/gpiochip*; then
        say pins "yes"
    else
        say pins "NONE (no /dev/gpiochip*): relays, buttons and other pin things will say so and wait"
    fi
    if machine_is_pi; then
        say_bus I2C 'dtparam=(.*,)?(i2c_arm|i2c)(=on)?[[:space:]]*(,|$)' "$(switch_on do_i2c dtparam=i2c_arm=on)" \
            "$ROOT"/dev/i2c-*
        say_bus SPI 'dtparam=(.*,)?spi(=on)?[[:space:]]*(,|$)' "$(switch_on do_spi dtparam=spi=on)" \
            "$ROOT"/dev/spidev*
        say_bus 1-Wire 'dtoverlay=w1-gpio' "add the line \`dtoverlay=w1-gpio\` to $config_txt, then \`sudo reboot\`" \
            "$ROOT/sys/bus/w1/devices"
    else
        if machine_has "$ROOT"/dev/i2c-*; then say I2C on; else say I2C none; fi
        if machine_has "$ROOT"/dev/spidev*; then say SPI on; else say SPI none; fi
        if machine_has "$ROOT/sys/bus/w1/devices"; then say 1-Wire on; else say 1-Wire none; fi
    fi

    if machine_clock_is_set; then
        say clock "set by the network"
    else
        say clock "NOT set by the network yet ($(date '+%F %R')): while it is wrong, no server's certificate is valid"
    fi
    ram=$(machine_ram_mib)
    if [ -z "$ram" ]; then
        say memory unknown
    elif [ "$ram" -lt 200 ]; then
        say memory "$ram MiB: TIGHT; the node takes 40, installing up to 200"
    else
        say memory "$ram MiB (the node takes about 40)"
    fi
    free=$(machine_free_mib)
    needed=$NEEDED_MIB
    [ "$bits" = 32 ] && needed=$NEEDED_BUILD_MIB
    if [ -z "$free" ]; then
        say disk unknown
    elif [ "$free" -lt "$needed" ]; then
        say disk "$free MiB free: it may take up to $needed"
    else
        say disk "$free MiB free"
    fi
}

if [ -z "${MACHINE_SOURCED:-}" ]; then
    set -u
    while [ $# -gt 0 ]; do
        case $1 in
            --root | --python)
                if [ $# -lt 2 ]; then
                    echo "machine.sh: $1 wants a value after it" >&2
                    exit 2
                fi
                if [ "$1" = --root ]; then ROOT=${2%/}; else PYTHON=$2; fi
                shift 2
                ;;
            *)
                echo "machine.sh: unknown option $1; there are --root DIR and --python FILE" >&2
                exit 2
                ;;
        esac
    done
    machine_report
fi
