"""The words that songs are made of: for each language, banks of words and forms with slots for them.

A slot `{noun}` is filled from the bank of that name. In Korean a particle after a slot agrees with the word's last
letter: `{noun:을}` gives 별을 and 바다를. In Mandarin no character is read in one way alone and in another in its word.
All lines were written for this project and are CC0.
"""

EN = """
form: {v1} me {place}, the {adj} {noun} will {v1} the {one}, and I {v1} the {one} in the {noun},
  you {v1} the {adj} {one} for me, every {noun} is a {adj} {one}, we {verb} the {one} {place},
  oh {adj} {noun} do not let me go, I will {v1} you when the {one} is {adj}, nobody can {v1} the {one} {place},
  there is a {noun} in my {adj} {one}, {who} will {v1} us {place}, {going} {place} with a {adj} {one},
  where did the {noun} go {when}, I was {going} {place}, give me a {one} and a {noun}, we are {going} {place} {when},
  if you {verb} me I will {v1} you, so many {adj} days {place}, can you hear the {one} {going}, she came home {when},
  they {v1} and {v1} {when}, let us {verb} the {adj} {noun}, my {one} is {going} {when}, why do you {verb} my {noun},
  only a {one} knows the {noun}, take this {adj} {one} and {v1} it, do not {verb} the {one} of the {noun},
  {who} was {going} {when}, I never {v1} {who} {when}, how {adj} is the {noun} {when}
adj: amber, ancient, bitter, broken, burning, careful, copper, crimson, distant, early, easy, empty, faded, famous,
  fearless, foolish, foreign, frozen, gentle, golden, heavy, hidden, hollow, holy, honest, hungry, idle, lonely, lucky,
  mellow, modern, narrow, open, patient, perfect, purple, quiet, rainy, restless, rusty, secret, silent, silver, simple,
  sleepy, slender, solemn, stormy, sudden, summer, tender, thirsty, velvet, wicked, winter, wooden, wounded, yellow
noun: anchor, autumn, balcony, blanket, bottle, canyon, candle, carnival, chapel, cottage, country, daughter, desert,
  dinner, doctor, dragon, engine, evening, farmer, feather, finger, forest, garden, guitar, hammer, harbor, hero,
  highway, hunter, island, jacket, journey, kingdom, kitchen, ladder, lantern, letter, lion, market, meadow, message,
  mirror, moment, morning, mountain, ocean, orchard, palace, parade, pencil, picture, pillow, planet, pocket, river,
  rocket, sailor, shadow, shelter, sister, soldier, spider, stable, station, stranger, sugar, teacher, temple, thunder,
  ticket, tiger, tower, treasure, valley, village, water, weather, whistle, window, wizard
one: bell, bird, boat, bone, book, bread, bridge, child, clock, cloud, coat, crown, dance, dog, door, dream, dust,
  earth, eye, face, field, fire, fish, flag, flame, fool, frost, ghost, gold, grass, ground, hand, heart, home, horse,
  house, joke, key, king, lake, leaf, light, map, moon, name, night, page, path, pearl, queen, rain, ring, road, room,
  rope, rose, sail, salt, sand, ship, shoe, sky, smoke, snow, song, star, stone, storm, street, sun, sword, thread,
  tide, town, train, tree, truth, voice, wall, wave, wind, wine, wolf
verb: abandon, believe, borrow, carry, choose, cover, deliver, discover, encounter, follow, forget, forgive, gather,
  imagine, measure, notice, offer, paint, promise, remember, repair, require, return, save, send, surprise, travel,
  visit, wonder, worship
v1: bless, break, bring, build, burn, call, catch, chase, cheat, clean, drop, face, feed, fight, find, fix, guard,
  guide, help, hide, hold, hunt, judge, keep, kiss, know, leave, lift, lose, love, match, meet, miss, move, need, pay,
  play, pull, push, raise, reach, read, save, share, show, sing, steal, stop, take, teach, thank, touch, trust, turn,
  wake, want, warn, wash, watch, wear
going: crawling, dancing, drifting, driving, falling, floating, flying, laughing, marching, riding, rolling, running,
  sailing, singing, sleeping, sliding, spinning, standing, swimming, turning, waiting, walking, wandering, whispering
place: over the hill, under the bridge, into the dark, back to the shore, along the line, after the storm, at the gate,
  beyond the wall, out of the blue, down by the lake, inside the house, behind the door, up to the roof, near the sea,
  across the field, through the rain, before the dawn, on the other side, far from the town, around the fire,
  above the trees, between the stars, against the tide
when: today, tonight, tomorrow, again, forever, this time, all day long, at noon, one day, no more
who: my mother, your brother, the captain, nobody, somebody, the children, a thousand men, my love
"""

KO = """
form: {adj} {noun:이} {be}, {time} {i} {noun:을} {do}, {where} {noun:이} {be}, {i} {adj} {noun:을} {do},
  {time} {noun:은} {be}, {noun:과} {noun:을} {do}, {adj} {noun} {where} {be}, {where} {i} {do}, {time} {where} {be},
  {i} {noun:을} {do}, {noun:은} {where} {be}, {adj} {noun:은} {time} {be}, {noun:아} {noun:아} {time} {be},
  {where} {adj} {noun:을} {do}
adj: 작은, 하얀, 푸른, 붉은, 낡은, 깊은, 맑은, 젖은, 검은, 높은, 먼, 긴, 고운, 따뜻한, 차가운, 조용한, 외로운, 눈부신,
  희미한, 즐거운, 그리운, 잊혀진, 버려진, 흩어진, 빛나는, 잠든, 떠나간, 돌아온, 새로운, 오래된
noun: 별, 밤, 길, 꿈, 손, 눈물, 바람, 바다, 강물, 하늘, 구름, 노래, 마음, 기억, 편지, 창문, 기차, 나무, 꽃잎, 언덕,
  골목, 그림자, 햇살, 달빛, 소나기, 파도, 모래, 나비, 새벽, 아침, 저녁, 계절, 여름, 겨울, 약속, 이름, 사진, 등불,
  촛불, 우산, 의자, 거울, 지도, 시계, 피아노, 운동장, 정거장, 고양이, 할머니, 친구, 동생, 마을, 도시, 섬, 배, 문, 집
do: 기다려, 기억해, 사랑해, 노래해, 그려 본다, 찾아가네, 부르네, 꿈꾸네, 바라보네, 지켜줄게, 안아줄게, 잊지 마, 놓지 마,
  들려줘, 보여줘, 건너가자, 따라가네, 그리워해, 만져보네
be: 흘러가네, 내려와, 반짝이네, 사라져, 피어나네, 흔들리네, 돌아오네, 떠나가네, 다가오네, 멀어지네, 춤추네, 잠이 드네,
  깨어나네, 보이네, 들려오네, 빛나네, 식어가네, 날아가네, 울고 있네, 웃고 있네
where: 창문 너머, 언덕 위로, 하늘 아래, 바다 건너, 골목 끝에, 다리 위에, 강가에서, 시장에서, 구름 속에, 마음 속에,
  길 위에서, 나무 아래, 저 멀리서, 집 앞에서, 섬 사이로
time: 오늘도, 어제처럼, 내일은, 아침이면, 밤이 오면, 비가 오면, 눈이 오면, 봄이 오면, 언젠가는, 다시 한번, 이제는,
  그날처럼, 해가 지면, 새벽마다, 가을이면
i: 나는, 너는, 우리는, 그대는, 모두가, 누군가, 혼자서, 둘이서, 함께, 천천히
"""
KO_PARTICLES = {"을": ("을", "를"), "은": ("은", "는"), "이": ("이", "가"), "과": ("과", "와"), "아": ("아", "야")}
"""particle -> (after a consonant, after a vowel)"""

ZH = """
form: {who}在{where}{be}, {time}{who}{do}{thing}, {adj}的{thing}{be}, {who}{do}{adj}的{thing}, {thing}在{where}{be},
  {time}{thing}{be}, {do}{where}的{thing}, {who}和{who}{time}{be}, {where}有{adj}的{thing}, {who}不再{do}{thing},
  {time}在{where}{be}, 谁{do}{who}的{thing}, 不要{do}{thing}, {thing}{thing}{time}{be}
who: 我, 你, 他, 她, 我们, 他们, 朋友, 姑娘, 孩子, 妈妈, 老人, 水手, 客人, 春风, 月亮, 太阳
thing: 小河, 大海, 高山, 白云, 星光, 灯火, 老街, 窗台, 木船, 书包, 雨伞, 铁门, 石桥, 红花, 绿草, 苹果, 月光, 晚风,
  秋天, 冬天, 夏夜, 歌声, 眼睛, 双手, 名字, 故事, 照片, 火车, 小路, 城市, 田野, 森林, 海岸, 山谷, 屋顶, 院子, 蓝天,
  沙滩, 蜡烛, 糖果, 风筝, 棉花, 梅花, 茶杯
adj: 美丽, 遥远, 温柔, 安静, 明亮, 古老, 孤单, 年轻, 金色, 蓝色, 白色, 冰冷, 温暖, 透明, 沉默, 快活, 神秘, 平凡,
  勇敢, 新鲜
do: 看见, 想念, 拥抱, 告别, 寻找, 忘记, 记住, 守护, 画出, 唱起, 听见, 错过, 等待, 走过, 带走, 送来, 穿过, 点亮, 打开,
  留下, 发现, 珍惜, 离开, 梦见
be: 落下, 飞舞, 飘过, 回来, 离去, 消失, 出现, 微笑, 哭泣, 歌唱, 跳舞, 睡去, 醒来, 闪光, 开放, 老去, 沉默, 发光, 远去,
  流浪
where: 山上, 海边, 桥头, 风里, 雨里, 梦里, 心里, 船上, 田里, 云上, 城外, 门前, 树下, 窗外, 河岸, 天边, 路口, 灯下
time: 今天, 昨天, 明天, 今夜, 清晨, 黄昏, 夏天, 春天, 半夜, 从此, 忽然, 慢慢, 依然, 永远, 再次, 偶尔, 每天, 那年
"""


def read_banks(text: str) -> dict[str, list[str]]:
    """`name: entry, entry,` and indented lines that go on -> name -> entries."""
    banks: dict[str, list[str]] = {}
    name = ""
    for line in text.strip().splitlines():
        if not line.startswith(" "):
            name, _, line = line.partition(":")
            banks[name] = []
        banks[name] += [entry.strip() for entry in line.split(",") if entry.strip()]
    return banks
