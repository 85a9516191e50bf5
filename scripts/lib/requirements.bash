# What the scripts need from the machine: checked, and installed where Debian's packages have it. Sourced, never run.
# shellcheck shell=bash

swift_major_min=6
swift_minor_min=2

# fail WORDS... : says so with the script's name, and ends with status 2.
fail() {
    echo "${0##*/}: $*" >&2
    exit 2
}

# Ends the script unless there is a Swift toolchain that is new enough.
require_swift() {
    local version
    command -v swift >/dev/null ||
        fail "swift is not installed, or not in PATH. Install Swift $swift_major_min.$swift_minor_min or newer:" \
            "https://www.swift.org/install/linux"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p' | head -n 1)
    [ -n "$version" ] || fail "'swift --version' does not say a version: is $(command -v swift) a Swift toolchain?"
    local major=${version% *} minor=${version#* }
    if [ "$major" -lt "$swift_major_min" ] ||
        { [ "$major" -eq "$swift_major_min" ] && [ "$minor" -lt "$swift_minor_min" ]; }; then
        fail "Swift $major.$minor is too old; swift-aio needs $swift_major_min.$swift_minor_min or newer:" \
            "https://www.swift.org/install/linux"
    fi
}

# Whether what a Debian package brings is there.
has_package() {
    case "$1" in
        libaio-dev) [ -e /usr/include/libaio.h ] || [ -e /usr/local/include/libaio.h ] ;;
        libre2-dev) [ -e /usr/include/re2/re2.h ] || [ -e /usr/local/include/re2/re2.h ] ;;
        util-linux) command -v unshare >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# require_packages NAME... : installs the Debian packages that are missing, or ends the script and says what to do.
require_packages() {
    local package missing=() as_root=()
    for package in "$@"; do
        has_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        fail "missing: ${missing[*]} (names of Debian's packages). Install them with this system's package manager."
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "missing: ${missing[*]}. As root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    echo "${0##*/}: installing ${missing[*]} (${as_root[*]:+${as_root[*]} }apt-get)"
    if ! { "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    } >&2; then
        fail "apt-get could not install ${missing[*]}. Install them by hand, then run this again."
    fi
    for package in "${missing[@]}"; do
        has_package "$package" || fail "$package was installed, but what it should bring is still not found"
    done
}
