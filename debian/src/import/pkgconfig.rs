//! `*.pc` files of pkg-config: `/usr` becomes the object's path.
//!
//! Source: pc(5).

/// Replaces `/usr` where a path begins with it.
#[must_use]
pub fn relocate(text: &[u8], output: &[u8]) -> Vec<u8> {
    const USR: &[u8] = b"/usr";
    let mut new = Vec::with_capacity(text.len() + output.len());
    let mut rest = text;
    let mut before = b'\n';
    while let Some(&byte) = rest.first() {
        let after = rest.strip_prefix(USR);
        let begins = matches!(
            before,
            b'\n' | b'=' | b' ' | b'\t' | b':' | b'"' | b'\'' | b'I' | b'L'
        );
        let ends = |after: &[u8]| {
            after.first().is_none_or(|byte| {
                matches!(byte, b'/' | b'\n' | b' ' | b'\t' | b':' | b'"' | b'\'')
            })
        };
        if let Some(after) = after.filter(|after| begins && ends(after)) {
            new.extend_from_slice(output);
            rest = after;
            before = b'r';
        } else {
            new.push(byte);
            rest = rest.get(1..).unwrap_or_default();
            before = byte;
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::relocate;
    use expect_test::expect;

    #[test]
    fn paths_get_the_prefix() {
        let text = "prefix=/usr\nlibdir=${prefix}/lib\nsysconfdir=/etc\nother=/usrlocal\nLibs: -L/usr/lib -lz -I${x}/usr\nshare=/nix/usr/share";
        let new = relocate(text.as_bytes(), b"/nix/store/h-z");
        expect![[r"
            prefix=/nix/store/h-z
            libdir=${prefix}/lib
            sysconfdir=/etc
            other=/usrlocal
            Libs: -L/nix/store/h-z/lib -lz -I${x}/usr
            share=/nix/usr/share"]]
        .assert_eq(&String::from_utf8_lossy(&new));
    }
}
