"""EXI"""
from .api import decode, decode_all, encode, from_xml, to_xml
from .errors import DecodeError, EncodeError, EXIError, LimitError, SchemaError
from .grammars import Grammars
from .options import Limits, Options
from .xsd import load_schemas
