# A stand-in for the parts of nixpkgs' lib that nix/ uses, for machines without nixpkgs.
#
# It has what decides about the result: properties (mkIf, mkMerge, mkOverride) at every level,
# priorities, types with checks and merging, submodules, undeclared options as errors. It has no
# source positions, no ordering (mkBefore) and no renamed options.
let
  inherit (builtins) all any attrNames attrValues concatLists concatMap concatStringsSep elem elemAt
    filter foldl' functionArgs hasAttr head intersectAttrs isAttrs isBool isFloat isFunction isInt
    isList isPath isString length listToAttrs map mapAttrs match removeAttrs replaceStrings seq
    stringLength substring;

  show = concatStringsSep ".";
  isType = type: value: isAttrs value && (value._type or null) == type;
  isDerivation = value: isAttrs value && (value.type or null) == "derivation";
  stringLike = value: isString value || isPath value || value ? outPath;
  optionals = condition: list: if condition then list else [ ];
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix = suffix: text: let n = stringLength text - stringLength suffix; in
    n >= 0 && substring n (-1) text == suffix;
  zipNames = sets: attrNames (foldl' (a: b: a // b) { } sets);

  # ---------------------------------------------------------------- properties of a definition
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };

  # A definition without mkIf and mkMerge at its top: a list of { priority, value }.
  discharge = priority: definition:
    if isType "if" definition then optionals definition.condition (discharge priority definition.content)
    else if isType "merge" definition then concatMap (discharge priority) definition.contents
    else if isType "override" definition then discharge definition.priority definition.content
    else [ { inherit priority; value = definition; } ];
  dischargeAll = concatMap (discharge 100);

  strongest = found: let best = foldl' (a: d: if d.priority < a then d.priority else a) 9999 found; in
    map (d: d.value) (filter (d: d.priority == best) found);

  # ---------------------------------------------------------------- types: check one, merge many
  refuse = loc: type: throw "A definition for option `${show loc}' is not of type `${type.description}'.";
  checked = type: loc: values: if all type.check values then values else refuse loc type;
  one = loc: values:
    if length values == 1 || all (value: value == head values) values then head values
    else throw "The option `${show loc}' has conflicting definition values.";
  mergeLeaf = type: loc: found: type.merge loc (checked type loc (strongest found));

  simple = description: check: { inherit description check; merge = one; };
  types = rec {
    anything = simple "anything" (_: true) // { merge = loc: values: mergeAny loc values; };
    raw = simple "raw value" (_: true);
    unspecified = anything;
    bool = simple "boolean" isBool;
    int = simple "signed integer" isInt;
    float = simple "floating point number" isFloat;
    str = simple "string" isString;
    nonEmptyStr = simple "non-empty string" (value: isString value && match "[ \t\n]*" value == null);
    singleLineStr = simple "string without a line break" (value: isString value && match ".*\n.*" value == null);
    strMatching = pattern: simple "string matching the pattern ${pattern}"
      (value: isString value && match pattern value != null);
    lines = simple "strings concatenated with \"\\n\"" isString // { merge = _: concatStringsSep "\n"; };
    path = simple "absolute path" (value: stringLike value && hasPrefix "/" (toString value));
    package = simple "package" (value: isDerivation value || isPath value);
    port = simple "16 bit unsigned integer; between 0 and 65535 (both inclusive)"
      (value: isInt value && value >= 0 && value <= 65535);
    ints = {
      positive = simple "positive integer, meaning >0" (value: isInt value && value > 0);
      unsigned = simple "unsigned integer, meaning >=0" (value: isInt value && value >= 0);
    };
    enum = values: simple "one of ${builtins.toJSON values}" (value: elem value values);
    either = a: b: simple "${a.description} or ${b.description}" (value: a.check value || b.check value) // {
      merge = loc: values: (if all a.check values then a else if all b.check values then b else raw).merge loc values;
    };
    oneOf = list: foldl' either (head list) (builtins.tail list);
    nullOr = type: simple "null or ${type.description}" (value: value == null || type.check value) // {
      merge = loc: values: if all (value: value == null) values then null else type.merge loc values;
    };
    listOf = type: simple "list of ${type.description}" isList // {
      merge = loc: values: map (found: mergeLeaf type (loc ++ [ "*" ]) found)
        (filter (found: found != [ ]) (map (entry: discharge 100 entry) (concatLists values)));
    };
    attrsOf = type: simple "attribute set of ${type.description}" isAttrs // {
      merge = loc: values: let
        named = name: dischargeAll (map (value: value.${name}) (filter (hasAttr name) values));
      in mapAttrs (name: found: mergeLeaf type (loc ++ [ name ]) found)
        (removeAttrs' (found: found == [ ]) (genAttrs (zipNames values) named));
    };
    lazyAttrsOf = attrsOf;
    attrs = attrsOf anything;
    submodule = module: simple "submodule" (value: isAttrs value || isFunction value || isPath value) // {
      merge = loc: values: (evalModules {
        prefix = loc;
        modules = (if isList module then module else [ module ])
          ++ map (value: if isAttrs value then { config = value; } else value) values;
        specialArgs.name = elemAt loc (length loc - 1);
      }).config;
    };
  };
  removeAttrs' = drop: set: removeAttrs set (filter (name: drop set.${name}) (attrNames set));
  mergeAny = loc: values:
    if length values == 1 then settle loc (head values)
    else if all (value: isAttrs value && !isDerivation value) values then (types.attrsOf types.anything).merge loc values
    else if all isList values then concatLists values
    else one loc values;
  settle = loc: value: # a single definition may still have properties inside
    if isAttrs value && !isDerivation value && !(value ? outPath) then (types.attrsOf types.anything).merge loc [ value ]
    else value;

  # ---------------------------------------------------------------- modules
  evalModules = { modules, specialArgs ? { }, prefix ? [ ] }: let
    arguments = specialArgs // { inherit lib options config; };
    load = module: let
      imported = if isPath module || isString module then import module else module;
      value = if !isFunction imported then imported
        else imported (if functionArgs imported == { } then arguments
          else intersectAttrs (functionArgs imported) arguments);
      structured = value ? config || value ? options;
      extra = removeAttrs value [ "_file" "key" "imports" "options" "config" "meta" ];
    in
      if structured && extra != { } then throw "module has unsupported attributes: ${show (attrNames extra)}"
      else [ (if structured then value else { config = removeAttrs value [ "_file" "key" "imports" ]; }) ]
        ++ concatMap load (value.imports or [ ]);
    loaded = concatMap load modules;

    options = foldl' (joinOptions prefix) { } (map (module: module.options or { }) loaded);
    joinOptions = loc: a: b: a // mapAttrs (name: new:
      if !(a ? ${name}) then new
      else if isType "option" new || isType "option" a.${name} then throw "The option `${show (loc ++ [ name ])}' is already declared."
      else joinOptions (loc ++ [ name ]) a.${name} new) b;

    definitions = map (module: module.config or { }) loaded;
    evaluate = loc: tree: definitions: if isType "option" tree then leaf loc tree definitions else
      mapAttrs (name: sub: evaluate (loc ++ [ name ]) sub (below name definitions)) tree;
    # Properties move down to what they are about, so that a condition may depend on an option
    # beside those that it guards.
    below = name: concatMap (d:
      if isType "if" d then map (mkIf d.condition) (below name [ d.content ])
      else if isType "merge" d then below name d.contents
      else if isType "override" d then map (mkOverride d.priority) (below name [ d.content ])
      else optionals (d ? ${name}) [ d.${name} ]);
    leaf = loc: option: definitions: let
      type = option.type or types.unspecified;
      found = dischargeAll definitions ++ optionals (option ? default) [ { priority = 1500; value = option.default; } ];
      value = if option.readOnly or false && length found > 1 then throw "The option `${show loc}' is read-only, but it's set multiple times."
        else if found == [ ] then throw "The option `${show loc}' was accessed but has no value defined. Try setting the option."
        else mergeLeaf type loc found;
    in (option.apply or (x: x)) value;

    config = evaluate prefix options definitions;
    undeclared = loc: tree: concatMap (d:
      if d._type or null == "merge" then undeclared loc tree d.contents
      else if d ? _type then undeclared loc tree [ d.content ]
      else concatMap (name:
        if !(tree ? ${name}) then [ (show (loc ++ [ name ])) ]
        else if isType "option" tree.${name} then [ ]
        else undeclared (loc ++ [ name ]) tree.${name} [ d.${name} ]) (attrNames d));
    unknown = undeclared prefix options definitions;
  in {
    inherit options;
    config = if unknown == [ ] then config else throw "The option `${head unknown}' does not exist.";
  };

  lib = {
    inherit types mkOverride mkIf mkMerge optionals genAttrs nameValuePair hasPrefix hasSuffix
      evalModules isDerivation concatStringsSep concatMap filter elem all any head mapAttrs attrNames
      attrValues replaceStrings stringLength length isAttrs isList isString isBool isInt isFloat isFunction;
    version = "stand-in";
    mkOption = attrs: attrs // { _type = "option"; };
    mkEnableOption = what: lib.mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether to enable ${what}.";
    };
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkOptionDefault = mkOverride 1500;
    optional = condition: value: optionals condition [ value ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: set: if condition then set else { };
    filterAttrs = keep: set: removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
    concatLines = lines: concatStringsSep "" (map (line: line + "\n") lines);
    unique = foldl' (found: value: if elem value found then found else found ++ [ value ]) [ ];
    hasInfix = infix: text: replaceStrings [ infix ] [ "" ] text != text;
    removePrefix = prefix: text: if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
    removeSuffix = suffix: text: if hasSuffix suffix text
      then substring 0 (stringLength text - stringLength suffix) text else text;
    splitString = separator: text: filter isString (builtins.split (lib.escapeRegex separator) text);
    escapeRegex = replaceStrings [ "." "*" "+" "?" "(" ")" "[" "{" "^" "$" "|" "\\" ]
      [ "\\." "\\*" "\\+" "\\?" "\\(" "\\)" "\\[" "\\{" "\\^" "\\$" "\\|" "\\\\" ];
    escapeShellArg = value: let text = toString value; in
      if match "[[:alnum:],._+:@%/-]+" text != null then text
      else "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";
    makeBinPath = packages: concatStringsSep ":" (map (p: "${p.bin or p}/bin") (filter (p: p != null) packages));
    getName = package: package.pname or package.name;
    getExe = package: "${package}/bin/${package.meta.mainProgram or package.pname or package.name}";
    getExe' = package: program: "${package}/bin/${program}";
    literalExpression = text: { _type = "literalExpression"; inherit text; };
    boolToString = value: if value then "true" else "false";
    licenses.mit = { spdxId = "MIT"; };
    platforms.linux = [ "x86_64-linux" "aarch64-linux" ];
    cleanSourceWith = { src, filter }: builtins.path { path = src; inherit filter; name = "source"; };
  };
in
lib
