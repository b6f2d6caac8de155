# A value as the text of a TOML document, at evaluation: no build step, so the settings can be
# looked at (and are tested) without building anything.
#
# `null` leaves a key out. Tables below the top and arrays are written inline, which any TOML
# reader takes for the same value. A path is written as it stands and never copied to the store.
let
  inherit (builtins) attrNames concatMap concatStringsSep elem filter fromJSON isAttrs isList isPath
    isString map match replaceStrings toJSON typeOf;

  # TOML's basic strings are JSON's, but for DEL, which has to be escaped in TOML.
  delete = fromJSON ''"\u007f"'';
  string = text: replaceStrings [ delete ] [ "\\u007f" ] (toJSON "${text}");
  key = name: if match "[A-Za-z0-9_-]+" name == null then string name else name;

  isDerivation = value: value.type or null == "derivation";
  isTable = value: isAttrs value && !isDerivation value;
  keys = set: filter (name: set.${name} != null) (attrNames set);
  pair = set: name: "${key name} = ${inline set.${name}}";

  inline = value:
    if isString value || isAttrs value && isDerivation value then string "${value}"
    else if isPath value then string (toString value)
    else if isAttrs value then "{ ${concatStringsSep ", " (map (pair value) (keys value))} }"
    else if isList value then "[ ${concatStringsSep ", " (map inline value)} ]"
    else toJSON value; # a bool, an integer, a float

  line = set: name: pair set name + "\n";
  table = set: name: "\n[${key name}]\n" + concatStringsSep "" (map (line set.${name}) (keys set.${name}));
in
{
  text = set:
    let
      scalars = filter (name: !isTable set.${name}) (keys set);
      tables = filter (name: isTable set.${name}) (keys set);
    in
    concatStringsSep "" (map (line set) scalars ++ map (table set) tables);

  # What TOML has no form for, each with its place; [ ] where `text` gives a document.
  problems =
    let
      within = place: value:
        if elem (typeOf value) [ "lambda" "null" ] then [ "${place} is a ${typeOf value}" ]
        else if isTable value then concatMap (name: within "${place}.${name}" value.${name}) (keys value)
        else if isList value then concatMap (within "an entry of ${place}") value
        else [ ];
    in
    set: concatMap (name: within name set.${name}) (keys set);
}
