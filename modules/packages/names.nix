# NixOS's names for Debian's packages, where the two differ. A list means that the first is what
# the name stands for, and that the others belong to it.
{
  apacheHttpd = "apache2";
  bashInteractive = "bash";
  bashNonInteractive = "bash";
  bind = "bind9";
  busybox = "busybox-static";
  cacert = "ca-certificates";
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
  go = "golang-go";
  gptfdisk = "gdisk";
  inetutils = [
    "hostname"
    "inetutils-telnet"
    "inetutils-traceroute"
  ];
  iputils = [
    "iputils-ping"
    "iputils-tracepath"
  ];
  iproute = "iproute2";
  linux-firmware = "firmware-linux-free";
  linux-pam = [
    "libpam-modules"
    "libpam-modules-bin"
  ];
  man = "man-db";
  mkpasswd = "whois";
  man-pages = "manpages";
  mariadb = "mariadb-server";
  ncurses = [
    "ncurses-bin"
    "ncurses-base"
  ];
  netcat = "netcat-openbsd";
  netcat-gnu = "netcat-traditional";
  nettools = "net-tools";
  ninja = "ninja-build";
  ntfs3g = "ntfs-3g";
  nssTools = "libnss3-tools";
  openldap = "slapd";
  openssh = [
    "openssh-client"
    "openssh-server"
    "openssh-sftp-server"
  ];
  p7zip = "p7zip-full";
  pam = [
    "libpam-modules"
    "libpam-modules-bin"
  ];
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
  su = "login";
  terminfo = "ncurses-base";
  vimHugeX = "vim";
  vixie-cron = "cron";
  wirelessRegdb = "wireless-regdb";
  wpa_supplicant = "wpasupplicant";
  xz = "xz-utils";
}
