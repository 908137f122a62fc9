"""Word lists and sets of characters of the PTB tokeniser: facts, in the notation of ``notation.py`` where it matters.

In a word list a capital wants a capital; a lower-case letter may be either.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABBREVIATIONS",
    "BEFORE_NAMES",
    "BEFORE_NUMBERS",
    "CAPITALS",
    "DIGITS",
    "FILE_KINDS",
    "KEPT_OUR",
    "LETTERS",
    "MARKS",
    "OPENERS",
    "REMOVED",
    "SPELLINGS",
    "SYMBOLS",
]

ABBREVIATIONS: Final = r"""
    al assn bancorp bhd bldg blvd bros calif co colo conn corp cos esq est etc ext inc intl jr ltd plc pp?t[ye]s? rd rt
    seq sq sr sys tel univ ed\.d ph\.d
    apr aug dec feb jan jul jun mar nov oct sep sept fri mon thu thurs tue tues wed
    ala ariz Az Ark ct dak Del fla ga Ill ind kan kans ky La Mass md mich minn Miss mo mont neb nev okla Ore Pa penn
    tenn Tex va vt Wash wis wisc wyo
"""
"""Before a full stop; when a sentence seems to follow, the stop ends that one too."""

BEFORE_NAMES: Final = r"""
    adj adm adv alex asst assoc atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr drs elec ens ft gen gov
    govs hon insp invt jos lieut lt maj messrs m[ft]g Miss mlle mme mr mrs ms msgr mt natl pfc ph pres prof profs pvt
    rep reps rev sen sens sfc sgt spc st ste supt supts treas vs wm a\.k\.a
"""
"""Before a full stop that ends no sentence, or without one before a blank."""

BEFORE_NUMBERS: Final = "art bldg ca fig figs no nos op pp prop"
"""Before a full stop, when a number follows."""

OPENERS: Final = r"""
    A About According Additionally After An As At But Earlier He Her Here However If In It Last Many More Mr\. Ms\. Now
    Once One Other Our She Since So Some Such That The Their Then There These They This We What When While Yet You
"""
"""With their capital these begin a sentence, even after an acronym's full stop; the rest in either case."""

FILE_KINDS: Final = """
    bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl png ppt ps py sql
    tar txt wav x xml zip
"""
"""Endings of file names."""

SPELLINGS: Final = dict(
    pair.split(">")
    for pair in """
    anaesthetic>anesthetic analogue>analog analogues>analogs analyse>analyze analysed>analyzed analysing>analyzing
    armoured>armored cancelled>canceled cancelling>canceling candour>candor capitalisation>capitalization
    capitalise>capitalize capitalised>capitalized centre>center chimaeric>chimeric clamour>clamor coloured>colored
    colourful>colorful colouring>coloring Defence>Defense defence>defense discolour>discolor discoloured>discolored
    discolouring>discoloring discolours>discolors encyclopaedia>encyclopedia endeavour>endeavor
    endeavoured>endeavored endeavouring>endeavoring endeavours>endeavors favour>favor favoured>favored
    favouring>favoring favourite>favorite favourites>favorites favours>favors fervour>fervor fibre>fiber
    fibres>fibers finalise>finalize finalised>finalized finalising>finalizing flavour>flavor flavoured>flavored
    flavouring>flavoring flavours>flavors grey>gray harbour>harbor harbours>harbors homologue>homolog
    homologues>homologs honour>honor honourable>honorable honoured>honored honouring>honoring honours>honors
    humour>humor humoured>humored humouring>humoring humours>humors kerb>curb labelled>labeled labelling>labeling
    Labour>Labor labour>labor laboured>labored labouring>laboring labours>labors leant>leaned learnt>learned
    localise>localize localised>localized manoeuvre>maneuver manoeuvres>maneuvers maximise>maximize
    maximised>maximized maximising>maximizing meagre>meager minimise>minimize minimised>minimized
    minimising>minimizing misdemeanour>misdemeanor misdemeanours>misdemeanors modernise>modernize
    modernised>modernized modernising>modernizing neighbour>neighbor neighbourhood>neighborhood
    neighbourhoods>neighborhoods neighbours>neighbors oestrogen>estrogen oestrogens>estrogens
    organisation>organization organisations>organizations penalise>penalize penalised>penalized
    popularise>popularize popularised>popularized popularises>popularizes popularising>popularizing
    practise>practice practised>practiced pressurise>pressurize pressurised>pressurized pressurises>pressurizes
    pressurising>pressurizing realise>realize realised>realized realises>realizes realising>realizing
    recognise>recognize recognised>recognized recognises>recognizes recognising>recognizing rumoured>rumored
    rumouring>rumoring savour>savor savoured>savored savouring>savoring savours>savors splendour>splendor
    splendours>splendors theatre>theater theatres>theaters titre>titer titres>titers travelled>traveled
    travelling>traveling
""".split()
)
"""British words, and what the tokeniser makes of them."""

KEPT_OUR: Final = frozenset(
    """
    abatjour beflour bonjour calambour carrefour contour cornflour detour devour dortour downpour dyvour giaour
    glamour holour inpour outpour pandour paramour pompadour recontour repour ryeflour sompnour tambour tregetour
    troubadour velour
""".split()
)
"""Words in -our, alone or inside others, that do not end in -or elsewhere."""

REMOVED: Final = frozenset("'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split())
"""Tokens that pycocoevalcap leaves out. Brackets are written in lower case before it looks, so they stay."""

LETTERS: Final = """
    41-5A 61-7A AA B5 BA C0-D6 D8-F6 F8-2C1 2C6-2D1 2E0-2E4 2EC 2EE 370-374 376-377 37A-37D 386 388-38A 38C 38E-3A1
    3A3-3F5 3F7-481 48A-527 531-556 559 561-587 5D0-5EA 5F0-5F2 620-64A 66E-66F 671-6D3 6D5 6E5-6E6 6EE-6EF 6FA-6FC
    6FF 710 712-72F 74D-7A5 7B1 7CA-7EA 7F4-7F5 7FA 800-815 81A 824 828 840-858 8A0 8A2-8AC 904-939 93D 950 958-961
    971-977 979-97F 985-98C 98F-990 993-9A8 9AA-9B0 9B2 9B6-9B9 9BD 9CE 9DC-9DD 9DF-9E1 9F0-9F1 A05-A0A A0F-A10
    A13-A28 A2A-A30 A32-A33 A35-A36 A38-A39 A59-A5C A5E A72-A74 A85-A8D A8F-A91 A93-AA8 AAA-AB0 AB2-AB3 AB5-AB9 ABD
    AD0 AE0-AE1 B05-B0C B0F-B10 B13-B28 B2A-B30 B32-B33 B35-B39 B3D B5C-B5D B5F-B61 B71 B83 B85-B8A B8E-B90 B92-B95
    B99-B9A B9C B9E-B9F BA3-BA4 BA8-BAA BAE-BB9 BD0 C05-C0C C0E-C10 C12-C28 C2A-C33 C35-C39 C3D C58-C59 C60-C61
    C85-C8C C8E-C90 C92-CA8 CAA-CB3 CB5-CB9 CBD CDE CE0-CE1 CF1-CF2 D05-D0C D0E-D10 D12-D3A D3D D4E D60-D61 D7A-D7F
    D85-D96 D9A-DB1 DB3-DBB DBD DC0-DC6 E01-E30 E32-E33 E40-E46 E81-E82 E84 E87-E88 E8A E8D E94-E97 E99-E9F EA1-EA3
    EA5 EA7 EAA-EAB EAD-EB0 EB2-EB3 EBD EC0-EC4 EC6 EDC-EDF F00 F40-F47 F49-F6C F88-F8C 1000-102A 103F 1050-1055
    105A-105D 1061 1065-1066 106E-1070 1075-1081 108E 10A0-10C5 10C7 10CD 10D0-10FA 10FC-1248 124A-124D 1250-1256
    1258 125A-125D 1260-1288 128A-128D 1290-12B0 12B2-12B5 12B8-12BE 12C0 12C2-12C5 12C8-12D6 12D8-1310 1312-1315
    1318-135A 1380-138F 13A0-13F4 1401-166C 166F-167F 1681-169A 16A0-16EA 1700-170C 170E-1711 1720-1731 1740-1751
    1760-176C 176E-1770 1780-17B3 17D7 17DC 1820-1877 1880-18A8 18AA 18B0-18F5 1900-191C 1950-196D 1970-1974
    1980-19AB 19C1-19C7 1A00-1A16 1A20-1A54 1AA7 1B05-1B33 1B45-1B4B 1B83-1BA0 1BAE-1BAF 1BBA-1BE5 1C00-1C23
    1C4D-1C4F 1C5A-1C7D 1CE9-1CEC 1CEE-1CF1 1CF5-1CF6 1D00-1DBF 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57
    1F59-1F5D/2 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE 1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4
    1FF6-1FFC 2071 207F 2090-209C 2102 2107 210A-2113 2115 2119-211D 2124-2128/2 212A-212D 212F-2139 213C-213F
    2145-2149 214E 2183-2184 2C00-2C2E 2C30-2C5E 2C60-2CE4 2CEB-2CEE 2CF2-2CF3 2D00-2D25 2D27 2D2D 2D30-2D67 2D6F
    2D80-2D96 2DA0-2DA6 2DA8-2DAE 2DB0-2DB6 2DB8-2DBE 2DC0-2DC6 2DC8-2DCE 2DD0-2DD6 2DD8-2DDE 2E2F 3005-3006
    3031-3035 303B-303C 3041-3096 309D-309F 30A1-30FA 30FC-30FF 3105-312D 3131-318E 31A0-31BA 31F0-31FF 3400-4DB5
    4E00-9FCC A000-A48C A4D0-A4FD A500-A60C A610-A61F A62A-A62B A640-A66E A67F-A697 A6A0-A6E5 A717-A71F A722-A788
    A78B-A78E A790-A793 A7A0-A7AA A7F8-A801 A803-A805 A807-A80A A80C-A822 A840-A873 A882-A8B3 A8F2-A8F7 A8FB
    A90A-A925 A930-A946 A960-A97C A984-A9B2 A9CF AA00-AA28 AA40-AA42 AA44-AA4B AA60-AA76 AA7A AA80-AAAF AAB1
    AAB5-AAB6 AAB9-AABD AAC0 AAC2 AADB-AADD AAE0-AAEA AAF2-AAF4 AB01-AB06 AB09-AB0E AB11-AB16 AB20-AB26 AB28-AB2E
    ABC0-ABE2 AC00-D7A3 D7B0-D7C6 D7CB-D7FB F900-FA6D FA70-FAD9 FB00-FB06 FB13-FB17 FB1D FB1F-FB28 FB2A-FB36
    FB38-FB3C FB3E FB40-FB41 FB43-FB44 FB46-FBB1 FBD3-FD3D FD50-FD8F FD92-FDC7 FDF0-FDFB FE70-FE74 FE76-FEFC
    FF21-FF3A FF41-FF5A FF66-FFBE FFC2-FFC7 FFCA-FFCF FFD2-FFD7 FFDA-FFDC
"""
"""Letters, as Unicode 6.2 has them."""

DIGITS: Final = """
    30-39 660-669 6F0-6F9 7C0-7C9 966-96F 9E6-9EF A66-A6F AE6-AEF B66-B6F BE6-BEF C66-C6F CE6-CEF D66-D6F E50-E59
    ED0-ED9 F20-F29 1040-1049 1090-1099 17E0-17E9 1810-1819 1946-194F 19D0-19D9 1A80-1A89 1A90-1A99 1B50-1B59
    1BB0-1BB9 1C40-1C49 1C50-1C59 A620-A629 A8D0-A8D9 A900-A909 A9D0-A9D9 AA50-AA59 ABF0-ABF9 FF10-FF19
"""
"""Decimal digits of the same Unicode."""

CAPITALS: Final = """
    41-5A C0-D6 D8-DE 100-136/2 139-147/2 14A-176/2 178-179 17B 17D 181-182 184 186-187 189-18B 18E-191 193-194
    196-198 19C-19D 19F-1A0 1A2 1A4 1A6-1A7 1A9 1AC 1AE-1AF 1B1-1B3 1B5 1B7-1B8 1BC 1C4 1C7 1CA 1CD-1DB/2 1DE-1EE/2
    1F1 1F4 1F6-1F8 1FA-232/2 23A-23B 23D-23E 241 243-246 248-24E/2 370 372 376 386 388-38A 38C 38E-38F 391-3A1
    3A3-3AB 3CF 3D2-3D4 3D8-3EE/2 3F4 3F7 3F9-3FA 3FD-42F 460-480/2 48A-4BE/2 4C0-4C1 4C3-4CD/2 4D0-526/2 531-556
    10A0-10C5 10C7 10CD 1E00-1E94/2 1E9E-1EFE/2 1F08-1F0F 1F18-1F1D 1F28-1F2F 1F38-1F3F 1F48-1F4D 1F59-1F5F/2
    1F68-1F6F 1FB8-1FBB 1FC8-1FCB 1FD8-1FDB 1FE8-1FEC 1FF8-1FFB 2102 2107 210B-210D 2110-2112 2115 2119-211D
    2124-2128/2 212A-212D 2130-2133 213E-213F 2145 2160-216F 2183 24B6-24CF 2C00-2C2E 2C60 2C62-2C64 2C67-2C6B/2
    2C6D-2C70 2C72 2C75 2C7E-2C80 2C82-2CE2/2 2CEB 2CED 2CF2 A640-A66C/2 A680-A696/2 A722-A72E/2 A732-A76E/2 A779
    A77B A77D-A77E A780-A786/2 A78B A78D A790 A792 A7A0-A7AA/2 FF21-FF3A
"""
"""Upper-case letters, and the signs that Unicode calls upper case, Roman numerals and letters in circles."""

MARKS: Final = """
    AD 2C2-2C5 2D2-2DF 2E5-2EB 2ED 2EF-36F 375 378-379 384-385 3F6 483-487 55A-55F 591-5BD 5BF 5C1-5C2 5C4-5C5 5C7
    615-61A 64B-65E 670 6D6-6E4 6E7-6ED 6FD-6FE 70F 711 730-74C 7A6-7B0 7EB-7F3 900-903 93C 93E-94E 951-955 962-963
    981-983 9BC 9BE-9C4 9C7-9C8 9CB-9CD 9D7 9E2-9E3 A01-A03 A3C A3E-A4F A81-A83 ABC ABE-ACF B82 BBE-BC2 BC6-BC8
    BCA-BCD C01-C03 C3E-C56 D3E-D44 D46-D48 E31 E34-E3A E47-E4E EB1 EB4-EBC EC8-ECD
"""
"""What is no letter but a part of words: the soft hyphen, combining marks, letters younger than LETTERS."""

SYMBOLS: Final = """
    25-26 2B 5C 5E 7C 7E A6-A9 AC AE-B4 B6-B9 D7 F7 387 5BE 5C0 5C3 5C6 5F3-5F4 600-603 606-60A 60C 614 61B 61E 66A 66D
    703-70D 7F6-7F8 964-965 E4F 1FBD 2016-2017 2020-2023 2030-2038 203B 203E-2042 2044 207A-207E 208A-208E 2100-214F
    2190-21FF 2200-2BFF 3012 30FB FF01-FF0F FF1A-FF20 FF3B-FF40 FF5B-FF65
"""
"""Signs that are a token each."""
