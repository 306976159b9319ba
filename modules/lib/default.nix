# Cairn's library: the names and the meaning of NixOS's, so that modules written for one work with
# the other. A file is one noun; the functions that modules use most are reachable without it.
let
  lib = parts // flat;
  part = file: import file { inherit lib; };

  parts = {
    inherit lib;

    trivial = part ./trivial.nix;
    fixedPoints = part ./fixed-points.nix;
    attrsets = part ./attrsets.nix;
    lists = part ./lists.nix;
    strings = part ./strings.nix;
    stringsWithDeps = part ./strings-with-deps.nix;
    path = part ./path.nix;
    versions = part ./versions.nix;
    asserts = part ./asserts.nix;
    debug = part ./debug.nix;
    generators = part ./generators.nix;
    cli = part ./cli.nix;
    gvariant = part ./gvariant.nix;

    filesystem = part ./filesystem.nix;
    sources = part ./sources.nix;
    customisation = part ./customisation.nix;
    meta = part ./meta.nix;
    licenses = part ./licenses.nix;
    maintainers = { };
    teams = { };
    platforms = {
      all = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      linux = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      unix = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      x86_64 = [ "x86_64-linux" ];
      aarch64 = [ "aarch64-linux" ];
      x86 = [ "x86_64-linux" ];
      none = [ ];
      darwin = [ ];
    };

    # The module system.
    properties = part ./properties.nix;
    definitions = part ./definitions.nix;
    diagnostics = part ./diagnostics.nix;
    hints = part ./hints.nix;
    loading = part ./loading.nix;
    optionTree = part ./option-tree.nix;
    options = part ./options.nix;
    optionTypes = part ./types/option-type.nix;
    types =
      part ./types/scalars.nix
      // part ./types/collections.nix
      // part ./types/combinations.nix
      // part ./types/submodules.nix
      // {
        inherit (parts.optionTypes)
          isType
          setType
          defaultTypeMerge
          defaultFunctor
          isOptionType
          mkOptionType
          optionDescriptionPhrase
          ;
      };
    modules =
      parts.properties
      // parts.definitions
      // parts.loading
      // parts.optionTree
      // part ./aliases.nix
      // part ./modules.nix;
  };

  flat = {
    inherit (builtins)
      add
      addErrorContext
      all
      any
      attrNames
      attrValues
      bitAnd
      bitOr
      bitXor
      catAttrs
      concatLists
      concatMap
      concatStringsSep
      deepSeq
      elem
      elemAt
      filter
      genericClosure
      genList
      getAttr
      groupBy
      hasAttr
      head
      intersectAttrs
      isAttrs
      isBool
      isFloat
      isInt
      isList
      isPath
      isString
      length
      lessThan
      listToAttrs
      mapAttrs
      match
      partition
      pathExists
      readFile
      removeAttrs
      replaceStrings
      seq
      sort
      stringLength
      sub
      substring
      tail
      splitVersion
      trace
      zipAttrsWith
      ;
    inherit (parts.trivial)
      and
      bitNot
      boolToString
      boolToYesNo
      checkListOfEnum
      codeName
      compare
      concat
      const
      defaultTo
      flip
      fromHexString
      functionArgs
      id
      importJSON
      importTOML
      info
      inNixShell
      inPureEvalMode
      isFunction
      isInOldestRelease
      mapNullable
      max
      mergeAttrs
      min
      mirrorFunctionArgs
      mod
      nixpkgsVersion
      oldestSupportedRelease
      oldestSupportedReleaseIsAtLeast
      "or"
      pipe
      revisionWithDefault
      setFunctionArgs
      showWarnings
      splitByAndCompare
      throwIf
      throwIfNot
      toBaseDigits
      toFunction
      toHexString
      version
      versionSuffix
      warn
      warnIf
      warnIfNot
      xor
      ;
    inherit (parts.fixedPoints)
      composeExtensions
      composeManyExtensions
      converge
      extends
      fix
      fix'
      makeExtensible
      makeExtensibleWithCustomName
      toExtension
      ;
    inherit (parts.attrsets)
      attrByPath
      attrsToList
      attrVals
      cartesianProduct
      cartesianProductOfSets
      chooseDevOutputs
      collect
      concatMapAttrs
      dontRecurseIntoAttrs
      filterAttrs
      filterAttrsRecursive
      foldAttrs
      foldlAttrs
      genAttrs
      genAttrs'
      getAttrFromPath
      getAttrs
      getBin
      getDev
      getFirstOutput
      getInclude
      getLib
      getMan
      getOutput
      getStatic
      hasAttrByPath
      invertAttrs
      isDerivation
      longestValidPathPrefix
      mapAttrs'
      mapAttrsRecursive
      mapAttrsRecursiveCond
      mapAttrsToList
      mapAttrsToListRecursive
      mapAttrsToListRecursiveCond
      mapCartesianProduct
      matchAttrs
      mergeAttrsList
      nameValuePair
      optionalAttrs
      overrideExisting
      recurseIntoAttrs
      recursiveUpdate
      recursiveUpdateUntil
      setAttrByPath
      showAttrPath
      toDerivation
      unionOfDisjoint
      updateManyAttrsByPath
      zipAttrs
      zipAttrsWithNames
      zipWithNames
      ;
    inherit (parts.lists)
      allUnique
      compareLists
      concatImap
      count
      crossLists
      drop
      dropEnd
      findFirst
      findFirstIndex
      findSingle
      flatten
      fold
      foldl
      foldl'
      foldr
      forEach
      groupBy'
      ifilter0
      imap0
      imap1
      init
      intersectLists
      last
      listDfs
      mutuallyExclusive
      naturalSort
      optional
      optionals
      range
      remove
      replicate
      reverseList
      singleton
      sortOn
      sublist
      subtractLists
      take
      takeEnd
      toList
      toposort
      unique
      uniqueStrings
      zipLists
      zipListsWith
      ;
    inherit (parts.strings)
      addContextFrom
      charToInt
      cmakeBool
      cmakeFeature
      cmakeOptionType
      concatImapStrings
      concatImapStringsSep
      concatLines
      concatMapAttrsStringSep
      concatMapStrings
      concatMapStringsSep
      concatStrings
      enableFeature
      enableFeatureAs
      escape
      escapeC
      escapeNixIdentifier
      escapeNixString
      escapeRegex
      escapeShellArg
      escapeShellArgs
      escapeURL
      escapeXML
      fileContents
      fixedWidthNumber
      fixedWidthString
      floatToString
      getName
      getVersion
      hasInfix
      hasPrefix
      hasSuffix
      intersperse
      isAscii
      isCoercibleToString
      isConvertibleWithToString
      isStorePath
      isStringLike
      isValidPosixName
      join
      levenshtein
      levenshteinAtMost
      lowerChars
      makeBinPath
      makeIncludePath
      makeLibraryPath
      makeSearchPath
      makeSearchPathOutput
      mesonBool
      mesonEnable
      mesonOption
      nameFromURL
      normalizePath
      optionalString
      readPathsFromFile
      removePrefix
      removeSuffix
      sanitizeDerivationName
      splitString
      splitStringBy
      stringAsChars
      stringToCharacters
      toCamelCase
      toInt
      toIntBase10
      toLower
      toSentenceCase
      toShellVar
      toShellVars
      toUpper
      trim
      trimWith
      upperChars
      versionAtLeast
      versionOlder
      withFeature
      withFeatureAs
      ;
    inherit (parts.stringsWithDeps)
      fullDepEntry
      noDepEntry
      packEntry
      stringAfter
      textClosureList
      textClosureMap
      ;
    inherit (parts.asserts)
      assertEachOneOf
      assertMsg
      assertOneOf
      checkAssertWarn
      ;
    inherit (parts.debug)
      runTests
      testAllTrue
      traceFnSeqN
      traceIf
      traceSeq
      traceSeqN
      traceVal
      traceValFn
      traceValSeq
      traceValSeqFn
      traceValSeqN
      traceValSeqNFn
      ;
    inherit (parts.customisation)
      callPackagesWith
      callPackageWith
      extendDerivation
      hydraJob
      makeOverridable
      makeScope
      overrideDerivation
      ;
    inherit (parts.meta)
      addMetaAttrs
      appendToName
      availableOn
      dontDistribute
      getExe
      getExe'
      getLicenseFromSpdxId
      getLicenseFromSpdxIdOr
      hiPrio
      hiPrioSet
      lowPrio
      lowPrioSet
      mapDerivationAttrset
      setName
      setPrio
      updateName
      ;
    inherit (parts.sources)
      canCleanSource
      cleanSource
      cleanSourceFilter
      cleanSourceWith
      pathHasContext
      sourceByRegex
      sourceFilesBySuffices
      ;
    inherit (parts.filesystem)
      listFilesRecursive
      ;
    inherit (parts.filesystem) pathIsDirectory pathIsRegularFile pathType;
    # Hashes that are certainly wrong: the error of a build then says the right one.
    fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fakeSha256 = lib.strings.replicate 64 "0";
    fakeSha512 = lib.strings.replicate 128 "0";
    inherit (parts.options)
      getFiles
      getValues
      isOption
      literalCode
      literalExample
      literalExpression
      literalMD
      mdDoc
      mergeDefaultOption
      mergeEqualOption
      mergeOneOption
      mergeUniqueOption
      mkEnableOption
      mkOption
      mkPackageOption
      mkPackageOptionMD
      mkSinkUndeclaredOptions
      optionAttrSetToDocList
      optionAttrSetToDocList'
      renderOptionValue
      scrubOptionValue
      showFiles
      showOption
      showOptionWithDefLocs
      unknownModule
      ;
    inherit (parts.modules)
      applyIfFunction
      applyModuleArgs
      applyModuleArgsIfFunction
      defaultOrderPriority
      defaultOverridePriority
      defaultPriority
      dischargeProperties
      doRename
      evalModules
      evalOptionValue
      filterOverrides
      filterOverrides'
      mergeDefinitions
      mergeModules
      mergeOptionDecls
      mkAfter
      mkAliasAndWrapDefinitions
      mkAliasAndWrapDefsWithPriority
      mkAliasDefinitions
      mkAliasIfDef
      mkAliasOptionModule
      mkAliasOptionModuleMD
      mkAssert
      mkBefore
      mkChangedOptionModule
      mkDefault
      mkDefinition
      mkDerivedConfig
      mkFixStrictness
      mkForce
      mkIf
      mkImageMediaOverride
      mkMerge
      mkMergedOptionModule
      mkOptionDefault
      mkOrder
      mkOverride
      mkRemovedOptionModule
      mkRenamedOptionModule
      mkRenamedOptionModuleWith
      mkStrict
      mkVMOverride
      pushDownProperties
      importApply
      setDefaultModuleLocation
      sortProperties
      unifyModuleSyntax
      ;
    inherit (parts.optionTypes)
      defaultFunctor
      defaultTypeMerge
      isOptionType
      isType
      mkOptionType
      optionDescriptionPhrase
      setType
      ;
  };
in
lib
