import com.siemens.ct.exi.core.EXIFactory;
import com.siemens.ct.exi.core.helpers.DefaultEXIFactory;
import com.siemens.ct.exi.core.CodingMode;
import com.siemens.ct.exi.grammars.GrammarFactory;
import com.siemens.ct.exi.main.api.sax.EXIResult;
import com.siemens.ct.exi.main.api.sax.EXISource;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import javax.xml.parsers.SAXParserFactory;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.sax.SAXSource;
import javax.xml.transform.stream.StreamResult;
import org.xml.sax.Attributes;
import org.xml.sax.ContentHandler;
import org.xml.sax.InputSource;
import org.xml.sax.XMLReader;
import org.xml.sax.helpers.AttributesImpl;
import org.xml.sax.helpers.DefaultHandler;

/**
 * EXIficient as the other side of hub.exi.
 *
 * decode SCHEMA ALIGNMENT FILE…   prints each EXI stream as one line of XML (SCHEMA "-": none)
 * bench SCHEMA ROUNDS FILE…       prints name, encode and decode median in µs for each XML document
 */
public class Peer {
    public static void main(String[] arguments) throws Exception {
        EXIFactory factory = DefaultEXIFactory.newInstance();
        if (!arguments[1].equals("-")) {
            factory.setGrammars(GrammarFactory.newInstance().createGrammars(arguments[1]));
        }
        List<String> files = Arrays.asList(arguments).subList(3, arguments.length);
        if (arguments[0].equals("decode")) {
            factory.setCodingMode(CodingMode.valueOf(arguments[2]));
            for (String file : files) {
                System.out.println(decode(factory, Files.readAllBytes(Path.of(file))));
            }
        } else {
            for (String file : files) {
                bench(factory, Path.of(file), Integer.parseInt(arguments[2]));
            }
        }
    }

    static String decode(EXIFactory factory, byte[] data) throws Exception {
        SAXSource source = new EXISource(factory);
        source.setInputSource(new InputSource(new ByteArrayInputStream(data)));
        StringWriter text = new StringWriter();
        TransformerFactory.newInstance().newTransformer().transform(source, new StreamResult(text));
        return text.toString().replace("\n", "&#10;").replaceFirst("^<\\?xml[^>]*>", "");
    }

    /** SAX events kept as objects, so that no XML parser is inside the clock. */
    static class Recording extends DefaultHandler {
        interface Event { void play(ContentHandler handler) throws Exception; }
        final List<Event> events = new ArrayList<>();
        @Override public void startDocument() { events.add(ContentHandler::startDocument); }
        @Override public void endDocument() { events.add(ContentHandler::endDocument); }
        @Override public void startElement(String uri, String local, String name, Attributes attributes) {
            AttributesImpl copy = new AttributesImpl(attributes);
            events.add(handler -> handler.startElement(uri, local, name, copy));
        }
        @Override public void endElement(String uri, String local, String name) {
            events.add(handler -> handler.endElement(uri, local, name));
        }
        @Override public void characters(char[] text, int start, int length) {
            char[] copy = Arrays.copyOfRange(text, start, start + length);
            events.add(handler -> handler.characters(copy, 0, copy.length));
        }
    }

    interface Call { void run() throws Exception; }

    static double median(Call call, int rounds) throws Exception {
        long until = System.nanoTime() + 300_000_000L;
        long warm = 0;
        while (System.nanoTime() < until || warm < 2000) {
            call.run();
            warm++;
            if (System.nanoTime() > until + 3_000_000_000L) break;
        }
        double each = 300e6 / Math.max(warm, 1);
        int loops = (int) Math.max(1, 2e6 / each);
        double[] samples = new double[rounds];
        for (int round = 0; round < rounds; round++) {
            long start = System.nanoTime();
            for (int loop = 0; loop < loops; loop++) call.run();
            samples[round] = (System.nanoTime() - start) / 1e3 / loops;
        }
        Arrays.sort(samples);
        return samples[rounds / 2];
    }

    static void bench(EXIFactory factory, Path file, int rounds) throws Exception {
        SAXParserFactory parsers = SAXParserFactory.newInstance();
        parsers.setNamespaceAware(true);
        Recording recording = new Recording();
        parsers.newSAXParser().parse(new ByteArrayInputStream(Files.readAllBytes(file)), recording);
        EXIResult result = new EXIResult(factory);
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        Call encode = () -> {
            output.reset();
            result.setOutputStream(output);
            ContentHandler handler = result.getHandler();
            for (Recording.Event event : recording.events) event.play(handler);
        };
        double encoding = median(encode, rounds);
        byte[] data = output.toByteArray();
        EXISource source = new EXISource(factory);
        XMLReader reader = source.getXMLReader();
        reader.setContentHandler(new DefaultHandler());
        double decoding = median(() -> reader.parse(new InputSource(new ByteArrayInputStream(data))), rounds);
        System.out.printf("%s %.2f %.2f%n", file.getFileName(), encoding, decoding);
    }
}
