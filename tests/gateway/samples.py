"""Schemas as clients bring them: small, real, and some of them wrong."""

from __future__ import annotations

from hub.exi import schemas
from hub.session.exi_setup import SchemaFile

XS = "xmlns:xs='http://www.w3.org/2001/XMLSchema'"

ROOM = f"""<?xml version='1.0' encoding='UTF-8'?>
<xs:schema {XS} targetNamespace='urn:example:room' xmlns='urn:example:room' elementFormDefault='qualified'>
  <xs:element name='room'>
    <xs:complexType>
      <xs:attribute name='name' type='xs:string' use='required'/>
      <xs:attribute name='floor' type='Floor'/>
    </xs:complexType>
  </xs:element>
  <xs:simpleType name='Floor'>
    <xs:restriction base='xs:integer'><xs:minInclusive value='-2'/><xs:maxInclusive value='9'/></xs:restriction>
  </xs:simpleType>
</xs:schema>
""".encode()

# Its import names a place that must never be looked at.
HOUSE = f"""<xs:schema {XS} xmlns:r='urn:example:room' targetNamespace='urn:example:house'
    elementFormDefault='qualified'>
  <!-- a comment -->
  <xs:import namespace='urn:example:room' schemaLocation='http://192.0.2.1/room.xsd'/>
  <xs:element name='house'>
    <xs:complexType><xs:sequence>
      <xs:element ref='r:room' minOccurs='0' maxOccurs='unbounded'/>
    </xs:sequence></xs:complexType>
  </xs:element>
</xs:schema>
""".encode()

NO_TYPE = f"""<xs:schema {XS} targetNamespace='urn:example:broken'>
  <xs:element name='a' type='Nowhere'/>
</xs:schema>
""".encode()

# Small to send, and the work of minutes to compile.
EXPLOSION = f"""<xs:schema {XS} targetNamespace='urn:example:explosion'>
  <xs:element name='a'><xs:complexType><xs:sequence>
    <xs:element name='b' minOccurs='0' maxOccurs='19000'/>
  </xs:sequence></xs:complexType></xs:element>
</xs:schema>
""".encode()

ROOM_FILE = SchemaFile.of("urn:example:room", ROOM)
HOUSE_FILE = SchemaFile.of("urn:example:house", HOUSE)
NO_TYPE_FILE = SchemaFile.of("urn:example:broken", NO_TYPE)
EXPLOSION_FILE = SchemaFile.of("urn:example:explosion", EXPLOSION)

PRODUCT = {SchemaFile(*file.identity): file.data for file in schemas.files()}
"""What the node proposes."""
