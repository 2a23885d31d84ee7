# Contrôles de contenu d’un connecteur entrant.
form-content = Contrôles de contenu
form-content-checks = Qui est consulté
form-content-checks-hint = Noms des contrôles déclarés dans relais.toml, dans l’ordre, par exemple « rspamd antivirus » ; vide : aucun.
form-content-fault = Si l’un ne répond pas
form-content-fault-refuse = Le message est refusé pour l’instant (451) ; l’appareil doit le renvoyer
form-content-fault-pass = Le message est accepté sans contrôle
form-content-finding = Si l’un refuse
form-content-refuse = Le message est refusé (550)
form-content-hold = Le message est accepté, puis retenu jusqu’à décision
form-content-extensions = Pièces jointes refusées, par extension
form-content-types = Pièces jointes refusées, par type déclaré
form-content-types-hint = Par exemple « exe js » et « application/x-msdownload video/* » ; vide : tout passe.
form-word-wrong = « { $value } » doit être un seul mot
settings-content = Ce que des inconnus envoient à { $value }
settings-content-words = Contrôles de contenu du courrier qui arrive pour vos domaines. Ce que vos appareils et applications envoient est contrôlé par leurs connecteurs entrants.
