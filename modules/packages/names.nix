# NixOS's names for Debian's packages, where the two differ. A list means that the first is what
# the name stands for, and that the others belong to it.
{
  apacheHttpd = "apache2";
  bashInteractive = "bash";
  bashNonInteractive = "bash";
  bind = "bind9";
  busybox = "busybox-static";
  cacert = "ca-certificates";
  conntrack-tools = "conntrack";
  coreutils-full = "coreutils";
  cryptsetup = "cryptsetup-bin";
  dhcpcd = "dhcpcd-base";
  dig = "bind9-dnsutils";
  dnsutils = "bind9-dnsutils";
  docker = "docker.io";
  dovecot = "dovecot-core";
  fd = "fd-find";
  gitMinimal = "git";
  glibc = "libc6";
  glibcLocales = "locales-all";
  gnugrep = "grep";
  gnumake = "make";
  gnupatch = "patch";
  gnused = "sed";
  gnutar = "tar";
  gnutls = "gnutls-bin";
  go = "golang-go";
  gptfdisk = "gdisk";
  host = "bind9-host";
  html-tidy = "tidy";
  inetutils = [
    "hostname"
    "inetutils-telnet"
    "inetutils-traceroute"
  ];
  iproute = "iproute2";
  iputils = [
    "iputils-ping"
    "iputils-tracepath"
  ];
  jdk = "default-jdk-headless";
  jre = "default-jre-headless";
  killall = "psmisc";
  knot-dns = "knot";
  libcap = "libcap2-bin";
  libfido2 = "fido2-tools";
  libxslt = "xsltproc";
  linux-firmware = "firmware-linux-free";
  linux-pam = [
    "libpam-modules"
    "libpam-modules-bin"
  ];
  lm_sensors = "lm-sensors";
  lua = "lua5.4";
  man = "man-db";
  man-pages = "manpages";
  mariadb = "mariadb-server";
  memtest86plus = "memtest86+";
  mkpasswd = "whois";
  ncurses = [
    "ncurses-bin"
    "ncurses-base"
  ];
  netcat = "netcat-openbsd";
  netcat-gnu = "netcat-traditional";
  nettools = "net-tools";
  nfs-utils = "nfs-common";
  ninja = "ninja-build";
  nssTools = "libnss3-tools";
  ntfs3g = "ntfs-3g";
  oathToolkit = "oathtool";
  openldap = "slapd";
  openssh = [
    "openssh-client"
    "openssh-server"
    "openssh-sftp-server"
  ];
  OVMF = "ovmf";
  p7zip = "p7zip-full";
  pam = [
    "libpam-modules"
    "libpam-modules-bin"
  ];
  pdns = "pdns-server";
  perf = "linux-perf";
  perl = [
    "perl"
    "perl-base"
  ];
  python3Minimal = "python3-minimal";
  qemu = [
    "qemu-system-x86"
    "qemu-utils"
  ];
  redis = "redis-server";
  shadow = [
    "passwd"
    "login"
    "uidmap"
  ];
  sqlite = "sqlite3";
  stunnel = "stunnel4";
  su = "login";
  terminfo = "ncurses-base";
  util-linux = [
    "util-linux"
    "bsdutils"
    "eject"
    "fdisk"
    "mount"
  ];
  vimHugeX = "vim";
  vixie-cron = "cron";
  watch = "procps";
  wirelessRegdb = "wireless-regdb";
  wirelesstools = "wireless-tools";
  wireshark-cli = "tshark";
  wpa_supplicant = "wpasupplicant";
  xkeyboard_config = "xkb-data";
  xz = "xz-utils";
  zbar = "zbar-tools";
}
