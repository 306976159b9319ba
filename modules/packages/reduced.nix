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
}
