"""EXI 1.0 (Second Edition) for Python: XML documents and stanzas in a fraction of their bytes.

    from hub import exi

    grammars = exi.load_schemas(["w-iot.xsd"])              # or exi.Grammars.read("w-iot.exig")
    data = exi.from_xml(b"<message .../>", grammars)        # a whole stream, with its header
    element = exi.decode(data, grammars)                    # an xml.etree.ElementTree.Element

    encoder, decoder = exi.Encoder(grammars), exi.Decoder(grammars)
    elements = decoder.feed(encoder.encode(element))        # bare bodies of a session, cut anywhere

The package is complete by the W3C recommendation, imports nothing but the standard library (reading XSD
files takes the library xmlschema, one file knows it) and does no input or output of its own but for reading
schemas and grammar files.

A walk through the files, in the order in which bytes become elements:

- `options` says what both ends agreed on and what we tolerate; `header` reads and writes the part of a
  stream that says so itself. `errors` draws the tree of everything that can be raised.
- `bits` is the only file that knows how a number becomes bits. `lexical` turns texts into numbers and back,
  `datatypes` writes and reads one value of a type, `strings` numbers strings that come again, `names`
  numbers URIs, local names and prefixes, and holds the journal by which tables forget.
- `events` numbers the kinds of events. `states` are the grammar states as coders walk them; `grammars`
  holds a schema set's states as flat tables and lowers them on demand for given options; `tables` is what a
  stream learns.
- `decoder` (on `codereader`) reads the events of a body, `encoder` (on `attributewriter` and `codewriter`)
  writes them; `channels` and `blocks` reorder values for the two compressed alignments.
- `sinks` builds elements from events, `elements` makes events from elements, `xmlout` and `xmlin` do the
  same for XML text. `stream` is the session; `api` the functions above.
- From schema to grammar: `xsd` reads XSD files into `model`, with `builtins` and `charset` for types;
  `content` makes automata of content models; `compiler` makes the tables; `grammarfile` saves and loads
  them.

The same source runs as plain Python and compiled: setup.py says how the files of the hot paths are compiled with
mypyc (see `native`). `compiled` says which one is running.
"""

from . import bits as _bits
from .api import decode, decode_all, encode, from_xml, to_xml
from .errors import DecodeError, EncodeError, EXIError, LimitError, SchemaError, TablesFullError, TruncatedError
from .grammars import Grammars
from .options import Limits, Options
from .stream import Decoder, Encoder
from .xsd import load_schemas

compiled: bool = not _bits.__file__.endswith(".py")
"""Whether the compiled form of the codec is running."""

__all__ = [
    "DecodeError",
    "Decoder",
    "EXIError",
    "EncodeError",
    "Encoder",
    "Grammars",
    "LimitError",
    "Limits",
    "Options",
    "SchemaError",
    "TablesFullError",
    "TruncatedError",
    "compiled",
    "decode",
    "decode_all",
    "encode",
    "from_xml",
    "load_schemas",
    "to_xml",
]
