# Licences, by the names that `meta.license` uses.
{ lib }:

builtins.mapAttrs
  (
    shortName: value:
    value
    // {
      inherit shortName;
      free = value.free or true;
      redistributable = value.redistributable or (value.free or true);
      deprecated = false;
    }
    // (if value ? spdxId then { url = "https://spdx.org/licenses/${value.spdxId}.html"; } else { })
  )
  {
    agpl3Only = {
      spdxId = "AGPL-3.0-only";
      fullName = "GNU Affero General Public License v3.0 only";
    };
    agpl3Plus = {
      spdxId = "AGPL-3.0-or-later";
      fullName = "GNU Affero General Public License v3.0 or later";
    };
    artistic2 = {
      spdxId = "Artistic-2.0";
      fullName = "Artistic License 2.0";
    };
    asl20 = {
      spdxId = "Apache-2.0";
      fullName = "Apache License 2.0";
    };
    boost = {
      spdxId = "BSL-1.0";
      fullName = "Boost Software License 1.0";
    };
    bsd0 = {
      spdxId = "0BSD";
      fullName = "BSD Zero Clause License";
    };
    bsd2 = {
      spdxId = "BSD-2-Clause";
      fullName = "BSD 2-clause \"Simplified\" License";
    };
    bsd3 = {
      spdxId = "BSD-3-Clause";
      fullName = "BSD 3-clause \"New\" or \"Revised\" License";
    };
    cc0 = {
      spdxId = "CC0-1.0";
      fullName = "Creative Commons Zero v1.0 Universal";
    };
    cc-by-40 = {
      spdxId = "CC-BY-4.0";
      fullName = "Creative Commons Attribution 4.0";
    };
    cc-by-sa-40 = {
      spdxId = "CC-BY-SA-4.0";
      fullName = "Creative Commons Attribution Share Alike 4.0";
    };
    eupl12 = {
      spdxId = "EUPL-1.2";
      fullName = "European Union Public License 1.2";
    };
    free = {
      fullName = "Unspecified free software license";
    };
    gpl2Only = {
      spdxId = "GPL-2.0-only";
      fullName = "GNU General Public License v2.0 only";
    };
    gpl2Plus = {
      spdxId = "GPL-2.0-or-later";
      fullName = "GNU General Public License v2.0 or later";
    };
    gpl3Only = {
      spdxId = "GPL-3.0-only";
      fullName = "GNU General Public License v3.0 only";
    };
    gpl3Plus = {
      spdxId = "GPL-3.0-or-later";
      fullName = "GNU General Public License v3.0 or later";
    };
    isc = {
      spdxId = "ISC";
      fullName = "ISC License";
    };
    lgpl21Only = {
      spdxId = "LGPL-2.1-only";
      fullName = "GNU Lesser General Public License v2.1 only";
    };
    lgpl21Plus = {
      spdxId = "LGPL-2.1-or-later";
      fullName = "GNU Lesser General Public License v2.1 or later";
    };
    lgpl3Only = {
      spdxId = "LGPL-3.0-only";
      fullName = "GNU Lesser General Public License v3.0 only";
    };
    lgpl3Plus = {
      spdxId = "LGPL-3.0-or-later";
      fullName = "GNU Lesser General Public License v3.0 or later";
    };
    mit = {
      spdxId = "MIT";
      fullName = "MIT License";
    };
    mpl20 = {
      spdxId = "MPL-2.0";
      fullName = "Mozilla Public License 2.0";
    };
    ofl = {
      spdxId = "OFL-1.1";
      fullName = "SIL Open Font License 1.1";
    };
    openssl = {
      spdxId = "OpenSSL";
      fullName = "OpenSSL License";
    };
    psfl = {
      spdxId = "Python-2.0";
      fullName = "Python Software Foundation License version 2";
    };
    publicDomain = {
      fullName = "Public Domain";
    };
    unfree = {
      fullName = "Unfree";
      free = false;
    };
    unfreeRedistributable = {
      fullName = "Unfree redistributable";
      free = false;
      redistributable = true;
    };
    unlicense = {
      spdxId = "Unlicense";
      fullName = "The Unlicense";
    };
    wtfpl = {
      spdxId = "WTFPL";
      fullName = "Do What The F*ck You Want To Public License";
    };
    zlib = {
      spdxId = "Zlib";
      fullName = "zlib License";
    };
  }
