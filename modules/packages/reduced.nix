# Packages of the archive without what few people need and what brings a great deal along.
final: _: {
  # Checking a mounted file system (xfs_scrub) takes Python and ICU: 60 MB. Everything else is here.
  xfsprogs-minimal =
    final.runCommand "xfsprogs-minimal-${final.xfsprogs.version}"
      {
        meta.description = "Utilities for managing the XFS filesystem, without xfs_scrub";
      }
      ''
        mkdir -p $out/bin $out/share
        cp -a ${final.xfsprogs}/bin/. $out/bin
        chmod u+w $out/bin
        rm $out/bin/xfs_scrub $out/bin/xfs_scrub_all
        ln -s bin $out/sbin
        cp -a ${final.xfsprogs}/share/xfsprogs $out/share
      '';

  # What GRUB is written to disks and media with: the tool that makes its core, and its modules. Tools that
  # install it, and whole programs for those who sign them, are two thirds of the packages.
  grub-core = final.build "copies" {
    name = "grub-core-${final.grub-common.version}";
    entries = builtins.toJSON {
      "bin/grub-mkimage" = "${final.grub-common}/bin/grub-mkimage";
      "lib/grub/i386-pc" = "${final.grub-pc-bin}/lib/grub/i386-pc";
      "lib/grub/x86_64-efi" = "${final.grub-efi-amd64-bin}/lib/grub/x86_64-efi";
    };
    without = builtins.toJSON [
      "lib/grub/i386-pc/grub-bios-setup"
      "lib/grub/x86_64-efi/monolithic"
    ];
  };

  # Of the programs that Debian has signed the one that is started from disks and media alike.
  grub-core-signed = final.build "copies" {
    name = "grub-core-signed-${final.grub-efi-amd64-signed.version}";
    entries =
      let
        program = "lib/grub/x86_64-efi-signed/grubx64.efi.signed";
      in
      builtins.toJSON { ${program} = "${final.grub-efi-amd64-signed}/${program}"; };
    without = "[]";
  };
}
