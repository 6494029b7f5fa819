"""Words without meaning of their own, in the seven languages; looked up casefolded, with accents."""

_ENGLISH = """
a about above after again against all also among an and any are as at be because been before being below between both
but by can could did do does doing down during each either else for from further get had has have having he her here
hers him his how i if in into is it its itself just like many may me might more most much must my near need needs no nor
not now of off on once one only or other our ours out over own per same she should since so some such than that the
their theirs them then there these they this those through to together too under until up upon us very via was we well
were what when where whether which while who whom whose why will with within without would you your yours
"""
_FRENCH = """
a ai ainsi après au aucun aussi autre autres aux avant avec avons beaucoup besoin bien ce ceci cela celle celles celui
ces cet cette ceux chaque chez comme comment contre d dans de depuis des donc dont du déjà elle elles en encore entre
est et eux fait faire faut font il ils je jusque l la le les leur leurs lors lui m ma mais me mes moi moins mon même n
ne ni non nos notre nous nôtre on ont ou où par parce pas pendant peu peut peuvent plus plusieurs pour pourquoi près qu
quand que quel quelle quelles quels qui quoi s sa sans se selon ses si sien son sont sous souvent suis sur ta tandis te
tel telle telles tels tes toi ton tous tout toute toutes trop très tu un une vers veut voici vos votre vous vu y à ça
était été être avez ayant cherchons voulons
"""
_SPANISH = """
a ahora al algo algunas algunos ambos ante antes aquel aquella asi así aun aunque aún bajo bien cada casi como con
contra cual cuales cuando cuanto cómo de del desde donde dos durante e el ella ellas ellos en entre era es esa esas ese
eso esos esta estas este esto estos está están fue ha hace hacia han hasta hay la las le les lo los mas me mi mientras
mis mismo mucho muchos muy más ni no nos nosotros nuestra nuestras nuestro nuestros o os otra otras otro otros para
pero poco por porque pues que quien quienes qué se sea sean según ser si sido siempre sin sino sobre son su sus sí
también tan tanto te tiene tienen todo todos toda todas tras tu tus u un una unas uno unos usted y ya yo él
"""
_PORTUGUESE = """
a ainda além algumas alguns ante antes ao aos apenas após aquela aquele as assim até bem cada com como contra cuja cujo
da das de dela dele deles depois desde dessa desse desta deste do dos durante e ela elas ele eles em enquanto entre era
essa essas esse esses esta estas este estes está estão eu foi foram há isso isto já la lhe lo logo mais mas me mesmo
meu minha muito muitos na nas nem no nos nossa nossas nosso nossos num numa não nós o onde os ou outra outras outro
outros para pela pelas pelo pelos por porque pouco pois qual quais quando quanto que quem se seja sem sempre ser seu
seus sob sobre sua suas são só também tem têm ter toda todas todo todos tudo um uma umas uns você é à às
"""
_RUSSIAN = """
а без более бы был была были было быть в вам вас весь во вот все всех вы где да для до его ее если есть еще ещё же за и
из или им их к как ко когда который которые которая кто ли мы на над наш наша наши не нет ни но о об он она они от по
под при про с со так также такой те то того тоже только том у уже чем что чтобы эта эти это этот я
"""
_ARABIC = """
من في على إلى الى عن مع هذا هذه ذلك تلك التي الذي الذين هو هي هم نحن أن ان إن كان كانت لا ما لم لن قد كل بعض أو او ثم
بين عند حتى حيث كما غير بعد قبل لكن و أي منذ لدى خلال
"""

STOP_WORDS = frozenset(" ".join((_ENGLISH, _FRENCH, _SPANISH, _PORTUGUESE, _RUSSIAN, _ARABIC)).split())
STOP_CHARACTERS = frozenset("的了和与及或在是为对于我们他它这那等以从由被将就也都把")
"""Chinese function characters; a pair of characters that holds one is no word."""
