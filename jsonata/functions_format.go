package jsonata

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// layouts of time for the tokens of Luxon that have one.
var layouts = map[string]string{
	"s": "5", "ss": "05", "m": "4", "mm": "04", "h": "3", "hh": "03", "HH": "15", "a": "PM", "d": "2", "dd": "02",
	"L": "1", "LL": "01", "LLL": "Jan", "LLLL": "January", "M": "1", "MM": "01", "MMM": "Jan", "MMMM": "January",
	"yy": "06", "yyyy": "2006", "ccc": "Mon", "cccc": "Monday", "EEE": "Mon", "EEEE": "Monday", "ooo": "002", "ZZ": "-07:00", "ZZZ": "-0700",
	"D": "1/2/2006", "DD": "Jan 2, 2006", "DDD": "January 2, 2006", "DDDD": "Monday, January 2, 2006", "T": "15:04", "TT": "15:04:05", "t": "3:04 PM", "tt": "3:04:05 PM",
}

// tokensOf splits a format: 'quoted' texts, runs of one letter, and the rest. Quoted texts come with
// their first quote.
func tokensOf(format string) []string {
	var out []string
	for i := 0; i < len(format); {
		end := i + 1
		switch c := format[i]; {
		case c == '\'':
			if n := strings.IndexByte(format[end:], '\''); n >= 0 {
				out, i = append(out, format[i:end+n]), end+n+1
			} else {
				out, i = append(out, format[i:]), len(format)
			}
			continue
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			for end < len(format) && format[end] == c {
				end++
			}
		}
		out, i = append(out, format[i:end]), end
	}
	return out
}

// maxFormat is the longest format, in bytes.
const maxFormat = 1000

var errFormat = errors.New("the format is longer than 1,000 bytes")

// formatted writes t in a format of Luxon.
func formatted(t time.Time, format string) (string, error) {
	if len(format) > maxFormat {
		return "", errFormat
	}
	var out strings.Builder
	for _, token := range tokensOf(format) {
		out.WriteString(formattedToken(t, token))
	}
	return out.String(), nil
}

func formattedToken(t time.Time, token string) string {
	if layout, ok := layouts[token]; ok {
		return t.Format(layout)
	}
	year, week := t.ISOWeek()
	switch token {
	case "S":
		return strconv.Itoa(t.Nanosecond() / 1e6)
	case "SSS", "u":
		return fmt.Sprintf("%03d", t.Nanosecond()/1e6)
	case "uu":
		return fmt.Sprintf("%02d", t.Nanosecond()/1e7)
	case "uuu":
		return strconv.Itoa(t.Nanosecond() / 1e8)
	case "H":
		return strconv.Itoa(t.Hour())
	case "y":
		return strconv.Itoa(t.Year())
	case "o":
		return strconv.Itoa(t.YearDay())
	case "c", "E":
		return strconv.Itoa(isoWeekday(t))
	case "q":
		return strconv.Itoa(int(t.Month()-1)/3 + 1)
	case "qq":
		return fmt.Sprintf("%02d", int(t.Month()-1)/3+1)
	case "W":
		return strconv.Itoa(week)
	case "WW":
		return fmt.Sprintf("%02d", week)
	case "kkkk":
		return strconv.Itoa(year)
	case "X":
		return strconv.FormatInt(t.Unix(), 10)
	case "x":
		return strconv.FormatInt(t.UnixMilli(), 10)
	case "Z":
		_, seconds := t.Zone()
		if seconds%3600 == 0 {
			return fmt.Sprintf("%+d", seconds/3600)
		}
		return fmt.Sprintf("%+d:%02d", seconds/3600, max(seconds, -seconds)%3600/60)
	case "z":
		if zone := t.Location().String(); zone != "" {
			return zone
		}
		return "UTC"
	default:
		return strings.TrimPrefix(token, "'")
	}
}

// formatParser reads a text in a format of Luxon.
type formatParser struct {
	fields

	rest     string
	location *time.Location
	twelve   bool // the hour is one of twelve
	pm       bool
	failed   bool
}

// parseFormat reads s, the time in location unless s has an offset.
// What the format lacks before its first part is that of now.
func parseFormat(s, format string, location *time.Location, now time.Time) (time.Time, bool) {
	if len(format) > maxFormat || len(s) > maxFormat {
		return time.Time{}, false
	}
	p := &formatParser{rest: s, location: location}
	tokens := tokensOf(format)
	for _, token := range tokens {
		p.token(token)
	}
	has := func(letters string) bool {
		return slices.ContainsFunc(tokens, func(token string) bool { return strings.ContainsAny(token[:1], letters) })
	}
	if now = now.In(p.location); !has("y") {
		p.year = now.Year()
		if !has("MLo") {
			p.month = int(now.Month())
			if !has("d") {
				p.day = now.Day()
			}
		}
	}
	if p.month == 0 && !has("ML") {
		p.month = 1
	}
	if p.day == 0 && !has("d") {
		p.day = 1
	}
	if p.twelve {
		if p.failed = p.failed || p.hour < 1 || p.hour > 12; p.hour == 12 {
			p.hour = 0
		}
		if p.pm {
			p.hour += 12
		}
	}
	t, ok := p.time(p.location)
	return t, ok && !p.failed && p.rest == ""
}

// digits reads a number of least to most digits.
func (p *formatParser) digits(least, most int) int {
	n := 0
	for n < most && n < len(p.rest) && p.rest[n] >= '0' && p.rest[n] <= '9' {
		n++
	}
	v, _ := strconv.Atoi("0" + p.rest[:n])
	p.failed = p.failed || n < least
	p.rest = p.rest[n:]
	return v
}

// name reads one of the names, of which short are the first letters, and returns its index.
func (p *formatParser) name(short bool, names func(i int) string, count int) int {
	for i := range count {
		name := names(i)
		if short {
			name = name[:3]
		}
		if len(p.rest) >= len(name) && strings.EqualFold(p.rest[:len(name)], name) {
			p.rest = p.rest[len(name):]
			return i
		}
	}
	p.failed = true
	return 0
}

func (p *formatParser) token(token string) {
	least, most := len(token), len(token)
	if most == 1 {
		most = 2
	}
	month := func(i int) string { return time.Month(i + 1).String() }
	weekday := func(i int) string { return time.Weekday(i).String() }
	switch token {
	case "y":
		p.year = p.digits(1, 6)
	case "yyyy":
		p.year = p.digits(4, 4)
	case "yy":
		if p.year = p.digits(2, 2) + 2000; p.year > 2060 {
			p.year -= 100
		}
	case "M", "MM", "L", "LL":
		p.month = p.digits(least, most)
	case "MMM", "LLL":
		p.month = p.name(true, month, 12) + 1
	case "MMMM", "LLLL":
		p.month = p.name(false, month, 12) + 1
	case "d", "dd":
		p.day = p.digits(least, most)
	case "o", "ooo":
		p.dayOfYear = p.digits(least, 3)
	case "EEE", "ccc":
		p.name(true, weekday, 7)
	case "EEEE", "cccc":
		p.name(false, weekday, 7)
	case "E", "c":
		p.digits(1, 1)
	case "H", "HH":
		p.hour = p.digits(least, most)
	case "h", "hh":
		p.hour, p.twelve = p.digits(least, most), true
	case "m", "mm":
		p.minute = p.digits(least, most)
	case "s", "ss":
		p.second = p.digits(least, most)
	case "S", "SSS":
		p.nanos = p.digits(least, 3) * 1e6
	case "u":
		digits := len(p.rest)
		v := p.digits(1, 9)
		for range 9 - (digits - len(p.rest)) {
			v *= 10
		}
		p.nanos = v
	case "a":
		p.pm = p.name(false, func(i int) string { return []string{"AM", "PM"}[i] }, 2) == 1
	case "Z", "ZZ", "ZZZ":
		p.offset()
	case "z":
		end := strings.IndexByte(p.rest+" ", ' ')
		zone, known := zoneNamed(p.rest[:end])
		p.failed = p.failed || !known
		p.location, p.rest = orUTC(zone), p.rest[end:]
	default:
		literal := strings.TrimPrefix(token, "'")
		rest, found := strings.CutPrefix(p.rest, literal)
		p.failed = p.failed || !found
		p.rest = rest
	}
}

// offset reads +2, +02:00 or +0200.
func (p *formatParser) offset() {
	m := offsetForm.FindStringSubmatch(p.rest)
	if m == nil {
		p.failed = true
		return
	}
	p.rest = p.rest[len(m[0]):]
	p.location = time.FixedZone("", offsetOf(m[1], m[2]))
}
