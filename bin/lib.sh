# Shared by the commands in bin/: finding what the project needs on this machine, and installing
# what is missing. POSIX sh; sourced with $root set. Everything it says goes to stderr, because
# stdout belongs to the command's own result (`bin/dev --json` prints one line there).
# It must never touch what is there already, never ask a question and never start a service.
# shellcheck shell=sh

: "${root:?is set by the command that sources this}"

# Where Debian's tools keep the choice not to make a cluster of their own.
createcluster_conf=/etc/postgresql-common/createcluster.conf

# Where systemd looks first for what Debian's redis-server package would start.
redis_unit=/etc/systemd/system/redis-server.service

# Where packages put PostgreSQL's programs besides PATH.
postgres_dirs='/usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/local/pgsql/bin
    /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin
    /Applications/Postgres.app/Contents/Versions/*/bin'

say() {
    printf '%s\n' "$*" >&2
}

die() {
    say "$@"
    exit 1
}

have() {
    command -v "$1" >/dev/null 2>&1
}

is_root() {
    [ "$(id -u)" = 0 ]
}

# Whether as_root can work: we are root, or sudo asks for no password.
can_be_root() {
    is_root || { have sudo && sudo -n true 2>/dev/null; }
}

as_root() {
    if is_root; then "$@"; else sudo -n "$@"; fi
}

apt_updated=no

# apt_install WHY PACKAGE…: installs Debian packages, or prints the line to run and gives up.
apt_install() {
    why=$1
    shift
    if ! can_be_root; then
        die "$why is missing, and installing it takes root (no sudo without a password here). Run:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    fi
    say "$why is missing: installing $* with apt-get."
    if [ "$apt_updated" = no ]; then
        as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null >&2 ||
            say "apt-get update failed; trying with the lists that are there."
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "$@" </dev/null >&2 ||
        die "apt-get could not install $*; see its words above."
}

# cargo, also where the shell's profile was not read.
need_rust() {
    if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
    fi
    have cargo || die "Rust is missing. Install it from https://rustup.rs and run this again."
}

# A C compiler and linker: Rust links with one, and the TLS library compiles C.
need_c_compiler() {
    if have cc; then
        return 0
    elif have apt-get; then
        apt_install "A C compiler" build-essential
    elif [ "$(uname)" = Darwin ]; then
        die "A C compiler is missing. Run: xcode-select --install"
    else
        die "A C compiler (cc) is missing. Install one with your package manager (gcc or clang)."
    fi
}

# Prints the directory of PostgreSQL's server programs, the newest that really run: a link that
# leads nowhere, or half a package, is passed over. Fails when there are none.
postgres_bin() {
    best=0
    best_dir=
    old_ifs=$IFS
    IFS=:
    # shellcheck disable=SC2086 # PATH is split at its colons on purpose
    set -- $PATH
    IFS=$old_ifs
    # shellcheck disable=SC2086 # patterns, to be expanded
    for dir in "$@" $postgres_dirs; do
        major=$("$dir/initdb" --version 2>/dev/null |
            sed -n 's/.*(PostgreSQL) \([0-9][0-9]*\).*/\1/p') || continue
        "$dir/postgres" --version >/dev/null 2>&1 || continue
        if [ "${major:-0}" -gt "$best" ]; then
            best=$major
            best_dir=$dir
        fi
    done
    [ -n "$best_dir" ] || return 1
    printf '%s\n' "$best_dir"
}

# PostgreSQL's programs; no cluster is made and no service started.
need_postgres() {
    if postgres_bin >/dev/null; then
        return 0
    elif have apt-get; then
        install_postgres_on_debian
    elif have brew; then
        say "PostgreSQL's programs are missing: running brew install postgresql@17 (untried by us)."
        brew install postgresql@17 </dev/null >&2 || die "brew could not install postgresql@17."
    else
        die "PostgreSQL's server programs (initdb, postgres) are missing. Install them with your
package manager; a running server is not needed."
    fi
    postgres_bin >/dev/null ||
        die "PostgreSQL was installed, but initdb and postgres still do not run."
}

# Debian's package makes a cluster "main" and starts it unless told before not to. The file that
# tells it comes with postgresql-common, so that goes first.
install_postgres_on_debian() {
    no_main='create_main_cluster = false'
    if ! can_be_root; then
        die "PostgreSQL's programs are missing, and installing them takes root (no sudo without a
password here). Run:
  sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql-common && echo '$no_main' | sudo tee -a $createcluster_conf && sudo apt-get install -y --no-install-recommends postgresql
The middle part keeps Debian from creating and starting a database of its own."
    fi
    say "PostgreSQL's programs are missing. Installing them, with '$no_main' in
$createcluster_conf, so that no database is created or started."
    apt_install "postgresql-common" postgresql-common
    # The last such line of the file counts. ($1 and $2 are the inner shell's.)
    # shellcheck disable=SC2016
    as_root sh -c 'grep -qx "$1" "$2" 2>/dev/null || echo "$1" >>"$2"' sh \
        "$no_main" "$createcluster_conf" </dev/null >&2 ||
        die "could not write '$no_main' into $createcluster_conf."
    apt_install "PostgreSQL" postgresql
}

# Whether a redis-server runs here that is new enough for several nodes: the launcher asks the same.
redis_works() {
    major=$(redis-server --version </dev/null 2>/dev/null |
        sed -n 's/.* server v=\([0-9][0-9]*\)\..*/\1/p') || return 1
    [ "${major:-0}" -ge 6 ]
}

# The program redis-server, for several nodes; no service is started.
need_redis() {
    if redis_works; then
        return 0
    elif have apt-get; then
        install_redis_on_debian
    elif have brew; then
        say "redis-server is missing: running brew install redis (untried by us)."
        brew install redis </dev/null >&2 || die "brew could not install redis."
    else
        die "redis-server (6 or newer) is missing. Install it with your package manager; a running
server is not needed."
    fi
    redis_works || die "Redis was installed, but there is still no redis-server 6 or newer that runs."
}

# Debian's package starts a server on port 6379, now and at every boot, unless its unit is masked
# before: a link to nowhere, which systemd and the package's own scripts respect.
install_redis_on_debian() {
    if ! can_be_root; then
        die "redis-server is missing, and installing it takes root (no sudo without a password here).
Run:
  sudo ln -s /dev/null $redis_unit; sudo apt-get update && sudo apt-get install -y --no-install-recommends redis-server
The first part keeps Debian from starting a Redis of its own."
    fi
    say "redis-server is missing. Installing it with its service masked ($redis_unit),
so that no Redis of Debian's is started; sudo systemctl unmask redis-server undoes that."
    # Somebody's own choice about that service stands. ($1 is the inner shell's.)
    # shellcheck disable=SC2016
    as_root sh -c '[ -e "$1" ] || [ -L "$1" ] || { mkdir -p "$(dirname "$1")" && ln -s /dev/null "$1"; }' \
        sh "$redis_unit" </dev/null >&2 || die "could not mask the service by $redis_unit."
    apt_install "redis-server" redis-server
}

# libfaketime, for a node with a wrong clock. Without it the rig leaves that fault out and says so.
want_faketime() {
    have apt-get || return 0
    for library in /usr/lib/*/faketime/libfaketimeMT.so.1; do
        if [ -f "$library" ]; then return 0; fi
    done
    if can_be_root; then
        (apt_install "libfaketime, for wrong clocks," libfaketime) ||
            say "Going on without it: no clock will be wrong."
    else
        say "libfaketime is missing, so no clock will be wrong (sudo apt-get install libfaketime)."
    fi
}

# Node is never installed for you: Debian's is too old, and everybody has their own way.
need_node() {
    { have node && have npm; } ||
        die "Node.js 20.19 or newer, with npm, is missing. Install it from https://nodejs.org or with
your version manager (the one in apt is too old), or run only: bin/test rust"
    node -e 'const [a, b] = process.versions.node.split(".").map(Number);
        process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' </dev/null ||
        die "Node.js $(node --version) is too old: 20.19 or newer is needed, or run only: bin/test rust"
}

need_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        if have "$name" && "$name" --version </dev/null >/dev/null 2>&1; then
            return 0
        fi
    done
    if have apt-get; then
        apt_install "Chromium, for the browser tests," chromium
    elif [ -d "/Applications/Google Chrome.app" ] || [ -d "/Applications/Chromium.app" ]; then
        return 0
    elif have brew; then
        say "Chromium is missing: running brew install --cask chromium (untried by us)."
        brew install --cask chromium </dev/null >&2 || die "brew could not install chromium."
    else
        die "Chromium, for the browser tests, is missing. Install it with your package manager."
    fi
}

# What the client in examples/python needs, in an environment of its own; a second run does nothing.
need_python_client() {
    wants=$root/examples/python/requirements.txt
    made=$root/target/python
    cmp -s "$wants" "$made/.parlour-requirements" && return 0
    if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c 'import ensurepip' >/dev/null 2>&1; then
        have apt-get || die "Python 3.10 or newer, with venv, is missing. Install it with your package manager."
        apt_install "Python, for the client in examples/python," python3 python3-venv
    fi
    say "Installing what examples/python needs into target/python."
    mkdir -p "$root/target"
    { python3 -m venv --clear "$made" && "$made/bin/pip" install --quiet --disable-pip-version-check -r "$wants"; } \
        </dev/null >&2 || die "the Python environment could not be made; see its words above."
    cp "$wants" "$made/.parlour-requirements"
}

# Web dependencies as locked; a second run with the same lock does nothing.
need_node_modules() {
    lock=$root/web/package-lock.json
    done_mark=$root/web/node_modules/.parlour-lock
    if [ -f "$lock" ] && ! cmp -s "$lock" "$done_mark"; then
        say "Installing the locked web dependencies (npm ci)."
        (cd "$root/web" && npm ci --no-audit --no-fund </dev/null >&2) ||
            die "npm ci failed in web/; see its words above."
        cp "$lock" "$done_mark"
    fi
}

# unprivileged COMMAND…: runs it as ourselves, or for root as an ordinary user, because
# PostgreSQL's programs refuse root. $unprivileged_user says who.
unprivileged() {
    if ! is_root; then
        "$@"
    elif have setpriv; then
        setpriv --reuid "$(id -u "$unprivileged_user")" --regid "$(id -g "$unprivileged_user")" \
            --clear-groups -- "$@"
    elif have sudo; then
        sudo -n -u "$unprivileged_user" -- "$@"
    else
        die "PostgreSQL's programs refuse to run as root; run this as an ordinary user."
    fi
}

unprivileged_user=$(id -un)
if is_root; then
    unprivileged_user=nobody
    if id -u postgres >/dev/null 2>&1; then unprivileged_user=postgres; fi
fi
